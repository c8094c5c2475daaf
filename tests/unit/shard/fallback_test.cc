#include "shard/fallback.h"

#include <gtest/gtest.h>

#include "tests/unit/shard/table_builder.h"

namespace espalier::shard {
namespace {

using wire::Reason;

struct Case {
  std::string what;
  std::vector<TagLine> tags;
  std::string asked;
  unsigned version;  ///< that answers; 0: no_model
  Reason reason;
  std::string served = "";
};

TEST(Fallback, FollowsTheOrderOfTheDesign) {
  const std::vector<NodeLine> tree = {{"", "ready", 1}, {"usa", "ready", 2}, {"usa/ca", "ready", 3}};
  const Case cases[] = {
      {"the root itself", {{"production", "", tree}}, "", 1, Reason::exact, ""},
      {"a node with a version", {{"production", "", tree}}, "usa/ca", 3, Reason::exact, "usa/ca"},
      {"a node without one", {{"production", "", tree}}, "usa/ca/fresno", 3, Reason::no_version, "usa/ca"},
      {"two levels up", {{"production", "", tree}}, "usa/ny/albany", 2, Reason::no_version, "usa"},
      {"an unknown country", {{"production", "", tree}}, "chad", 1, Reason::no_version, ""},
      {"only deeper nodes", {{"production", "", {{"usa/ca", "ready", 3}}}}, "usa", 0, Reason::exact},
      {"an empty level is passed over",
       {{"production", "", {{"", "ready", 1}, {"russia", "ready", 2}, {"russia//ivanovo", "ready", 4}}}},
       "russia//ivanovo",
       4,
       Reason::exact,
       "russia//ivanovo"},
      {"and is no node on the way up",
       {{"production", "", {{"", "ready", 1}, {"russia", "ready", 2}}}},
       "russia//omsk",
       2,
       Reason::no_version,
       "russia"},
      {"its last ready version",
       {{"production", "", {{"", "ready", 1}, {"usa", "cold+previous", 2}}}},
       "usa",
       102,
       Reason::previous,
       "usa"},
      {"its last ready version, damaged since",
       {{"production", "", {{"", "ready", 1}, {"usa", "corrupt+previous", 2}}}},
       "usa",
       102,
       Reason::previous,
       "usa"},
      {"cold without another",
       {{"production", "", {{"", "ready", 1}, {"usa", "cold", 2}}}},
       "usa",
       1,
       Reason::cold,
       ""},
      {"corrupt without another",
       {{"production", "", {{"", "ready", 1}, {"usa", "corrupt", 2}}}},
       "usa",
       1,
       Reason::corrupt,
       ""},
      {"the first that was amiss decides",
       {{"production", "", {{"", "ready", 1}, {"usa", "cold", 2}, {"usa/ca", "corrupt", 3}}}},
       "usa/ca",
       1,
       Reason::corrupt,
       ""},
      {"also above a node without version",
       {{"production", "", {{"", "ready", 1}, {"usa", "cold", 2}}}},
       "usa/ca/fresno",
       1,
       Reason::cold,
       ""},
      {"an ancestor's last ready version",
       {{"production", "", {{"", "ready", 1}, {"usa", "cold+previous", 2}}}},
       "usa/ca",
       102,
       Reason::previous,
       "usa"},
      {"removed", {{"production", "", {{"", "ready", 1}, {"usa", "removed", 2}}}}, "usa", 1, Reason::removed, ""},
      {"removed hides no last ready version",
       {{"production", "", {{"", "ready", 1}, {"usa", "removed", 2}, {"usa/ca", "cold", 3}}}},
       "usa/ca",
       1,
       Reason::cold,
       ""},
      {"nothing at all", {{"production", "", {}}}, "usa", 0, Reason::exact},
      {"a root that is cold", {{"production", "", {{"", "cold", 1}}}}, "usa", 0, Reason::exact},
  };
  for (const Case& c : cases) {
    const Model model = model_of(c.tags);
    const Result<Choice> choice = choose(model, *model.tags[0], path_of(c.asked));
    if (c.version == 0) {
      EXPECT_EQ(choice.status().code(), Code::no_model) << c.what;
      continue;
    }
    ASSERT_TRUE(choice.ok()) << c.what << ": " << choice.status().text();
    EXPECT_EQ(choice->answer->version, uuid_of(c.version)) << c.what;
    EXPECT_EQ(choice->reason, c.reason) << c.what;
    EXPECT_EQ(choice->node->partition, values_of(c.served)) << c.what;
    EXPECT_EQ(choice->depth, choice->node->partition.size()) << c.what;
    EXPECT_TRUE(choice->answer->is_ready()) << c.what;
  }
}

TEST(Fallback, AnOverlayDecidesWhereItSaysSomething) {
  const TagLine below{
      "production", "", {{"", "ready", 1}, {"usa", "ready", 2}, {"usa/ca", "cold", 3}, {"peru", "cold+previous", 4}}};
  const auto with = [&](std::vector<NodeLine> nodes) {
    return std::vector<TagLine>{{"canary", "production", std::move(nodes)}, below};
  };
  const Case cases[] = {
      {"nothing said", with({}), "usa", 2, Reason::exact, "usa"},
      {"its version", with({{"usa", "ready", 12}}), "usa", 12, Reason::exact, "usa"},
      {"its version above", with({{"usa", "ready", 12}}), "usa/ny", 12, Reason::no_version, "usa"},
      {"not ready: its last ready one first", with({{"usa", "cold+previous", 12}}), "usa", 112, Reason::previous,
       "usa"},
      {"not ready: then the tag below", with({{"usa", "cold", 12}}), "usa", 2, Reason::overlay_not_ready, "usa"},
      {"the tag below has a last ready one", with({{"peru", "corrupt", 14}}), "peru", 104, Reason::overlay_not_ready,
       "peru"},
      {"neither is ready", with({{"usa/ca", "corrupt", 13}}), "usa/ca", 2, Reason::corrupt, "usa"},
      {"removed: the tag below is not asked", with({{"usa", "removed", 12}}), "usa", 1, Reason::removed, ""},
      {"not ready, below no such node", with({{"usa/ny", "cold", 15}}), "usa/ny", 2, Reason::cold, "usa"},
  };
  for (const Case& c : cases) {
    const Model model = model_of(c.tags);
    const Result<Choice> choice = choose(model, *model.tags[0], path_of(c.asked));
    ASSERT_TRUE(choice.ok()) << c.what;
    EXPECT_EQ(choice->answer->version, uuid_of(c.version)) << c.what;
    EXPECT_EQ(choice->reason, c.reason) << c.what;
    EXPECT_EQ(choice->node->partition, values_of(c.served)) << c.what;
  }
}

TEST(Fallback, AVersionAnswersOnItsPathOnly) {
  const Model model =
      model_of({{"production",
                 "",
                 {{"", "ready", 1}, {"usa", "ready", 2}, {"peru", "ready", 3}, {"chad", "cold+previous", 4}}}});
  const Result<Choice> exact = choose_version(model, uuid_of(2), path_of("usa"));
  ASSERT_TRUE(exact.ok());
  EXPECT_EQ(exact->reason, Reason::exact);
  EXPECT_EQ(exact->tag, nullptr);
  const Result<Choice> above = choose_version(model, uuid_of(1), path_of("usa/ca"));
  ASSERT_TRUE(above.ok());
  EXPECT_EQ(above->reason, Reason::no_version);
  EXPECT_EQ(above->depth, 0u);
  EXPECT_TRUE(choose_version(model, uuid_of(104), path_of("chad")).ok());

  for (const auto& [version, path] : {std::pair{3u, "usa"}, {2u, ""}, {4u, "chad"}, {99u, "usa"}, {2u, "peru/lima"}}) {
    EXPECT_EQ(choose_version(model, uuid_of(version), path_of(path)).status().code(), Code::not_found)
        << version << path;
  }
}

TEST(Fallback, RefsAreParsed) {
  EXPECT_EQ(Ref::parse("")->tag, "production");
  EXPECT_EQ(Ref::parse("tag:canary-2")->tag, "canary-2");
  EXPECT_EQ(Ref::parse("version:" + uuid_of(5).text())->id, uuid_of(5));
  EXPECT_EQ(Ref::parse("release:" + uuid_of(5).text())->kind, Ref::Kind::release);
  for (const char* text : {"production", "tag:", "tag:Production", "tag:a b", "version:", "version:17", "release:x",
                           "Tag:x", "version:00000000-0000-0000-0000-00000000000g", " tag:x", "tags:x"}) {
    EXPECT_EQ(Ref::parse(text).status().code(), Code::invalid_argument) << text;
  }
}

TEST(Fallback, TagsAreFoundByNameAndByRelease) {
  const Model model = model_of({{"production", "", {}}, {"canary", "production", {}}});
  EXPECT_EQ((*resolve_tag(model, *Ref::parse("tag:canary")))->name, "canary");
  EXPECT_EQ((*resolve_tag(model, *Ref::parse("release:" + uuid_of(7000).text())))->name, "production");
  EXPECT_EQ(resolve_tag(model, *Ref::parse("tag:other")).status().code(), Code::not_found);
  EXPECT_EQ(resolve_tag(model, *Ref::parse("release:" + uuid_of(1).text())).status().code(), Code::not_found);
}

TEST(Path, RefusesWhatTheModelHasNot) {
  Path path;
  const std::vector<std::string_view> four = {"a", "b", "c", "d"};
  EXPECT_EQ(path.assign(four, 3).code(), Code::invalid_argument);
  EXPECT_EQ(path.assign(four, 9).code(), Code::ok);
  const std::vector<std::string_view> padded = {"a", "", "", "", ""};
  ASSERT_TRUE(path.assign(padded, 1).ok());
  EXPECT_EQ(path.depth(), 1u);
  const std::string long_value(257, 'x');
  const std::vector<std::string_view> too_long = {"a", long_value};
  EXPECT_EQ(path.assign(too_long, 3).code(), Code::invalid_argument);
  EXPECT_NE(path.assign(too_long, 3).message().find("partition[1]"), std::string::npos);
}

}  // namespace
}  // namespace espalier::shard
