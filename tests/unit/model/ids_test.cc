#include "model/ids.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace espalier::model {
namespace {

using namespace std::string_literals;

TEST(Name, TakesWhatTheRuleSays) {
  for (const std::string& name : {"a"s, "0"s, "acme"s, "a_b.c-d"s, std::string(64, 'x')})
    EXPECT_OK(check_name("model", name));
  for (const std::string& name : {""s, "A"s, "_a"s, ".a"s, "-a"s, "a b"s, "a/b"s, "a@b"s, "\xC3\xA4"s, "a\0b"s, "\xFF"s,
                                  std::string(65, 'x'), std::string(100000, 'x')}) {
    const Status status = check_name("model", name);
    EXPECT_CODE(status, Code::invalid_argument);
    EXPECT_EQ(status.message().find("model \""), 0u) << status.message();
    EXPECT_LT(status.message().size(), 300u);
  }
}

struct Text {
  std::string text;
  std::vector<std::string> values;
  std::string written;
};

TEST(Partition, TextAndValuesAgree) {
  const std::vector<Text> cases = {
      {"", {}, ""},
      {"usa", {"usa"}, "usa"},
      {"usa/ca/fresno", {"usa", "ca", "fresno"}, "usa/ca/fresno"},
      {"russia//ivanovo", {"russia", "", "ivanovo"}, "russia//ivanovo"},
      {"russia//", {"russia"}, "russia"},
      {"/", {}, ""},
      {"/a", {"", "a"}, "/a"},
      {"a%2Fb/c%40d%25%2c", {"a/b", "c@d%,"}, "a%2Fb/c%40d%25%2C"},
      {"a%00b%0A%7f", {"a\0b\n\x7F"s}, "a%00b%0A%7F"},
      {"\xC3\xA4 b", {"\xC3\xA4 b"}, "\xC3\xA4 b"},
      {"1/2/3/4/5/6/7/8", {"1", "2", "3", "4", "5", "6", "7", "8"}, "1/2/3/4/5/6/7/8"},
      {"1/2/3/4/5/6/7/8///", {"1", "2", "3", "4", "5", "6", "7", "8"}, "1/2/3/4/5/6/7/8"},
  };
  for (const Text& each : cases) {
    SCOPED_TRACE(each.text);
    ASSERT_OK_AND_ASSIGN(const Partition partition, Partition::parse(each.text));
    EXPECT_EQ(partition.values(), each.values);
    EXPECT_EQ(partition.text(), each.written);
    ASSERT_OK_AND_ASSIGN(const Partition again, Partition::from_values(each.values));
    EXPECT_EQ(again, partition);
  }
}

TEST(Partition, WrongTextIsRefused) {
  for (const std::string& text : {"a%"s, "a%2"s, "a%2x"s, "%zz"s, "a@b"s, "a,b"s, "a\nb"s, "a\0b"s, "\xFF"s, "a/%FF"s,
                                  "a/%C3"s, "1/2/3/4/5/6/7/8/9"s, "////////9"s, std::string(257, 'x')}) {
    SCOPED_TRACE(text);
    EXPECT_CODE(Partition::parse(text), Code::invalid_argument);
  }
  EXPECT_CODE(Partition::from_values(std::vector<std::string>(9, "x")), Code::invalid_argument);
  EXPECT_CODE(Partition::from_values(std::vector<std::string>{"\xC0\x80"}), Code::invalid_argument);
  EXPECT_OK(Partition::parse(std::string(256, 'x')));
}

TEST(Partition, AncestorsMayBeTransparent) {
  ASSERT_OK_AND_ASSIGN(const Partition partition, Partition::parse("russia//ivanovo"));
  EXPECT_FALSE(partition.is_transparent());
  EXPECT_TRUE(partition.ancestor(2).is_transparent());
  EXPECT_EQ(partition.ancestor(2).depth(), 2u);
  EXPECT_TRUE(partition.ancestor(0).is_root());
}

TEST(Key, EscapesZeroAndKeepsPrefixes) {
  ASSERT_OK_AND_ASSIGN(const Partition parent, Partition::from_values(std::vector<std::string>{"a\0b"s}));
  ASSERT_OK_AND_ASSIGN(const Partition child, Partition::from_values(std::vector<std::string>{"a\0b"s, "c"}));
  const std::string key = node_key("t", "m", parent);
  EXPECT_EQ(key,
            "t\0\x01m\0\x01"
            "a\0\xFF"
            "b\0\x01"s);
  EXPECT_EQ(node_key("t", "m", child).substr(0, key.size()), key);
  EXPECT_EQ(model_key("t", "m"), node_key("t", "m", {}));
  ASSERT_OK_AND_ASSIGN(const auto components, split_components(node_key("t", "m", child)));
  EXPECT_EQ(components, (std::vector<std::string>{"t", "m", "a\0b"s, "c"}));
}

TEST(Key, WhatIsNoKeyIsCorrupt) {
  for (const std::string& key : {"a"s, "\0"s, "a\0"s, "a\0\x02"s, "a\0\x01"s + "b", "a\0\xFF"s, "\0\0"s}) {
    EXPECT_CODE(split_components(key), Code::corrupt);
  }
  EXPECT_OK(split_components(""));
}

TEST(NodeName, ReadsWhatItWrites) {
  for (const std::string& text : {"acme/total"s, "acme/total@usa/ca"s, "acme/total@a%2Fb"s}) {
    ASSERT_OK_AND_ASSIGN(const NodeName name, NodeName::parse(text));
    EXPECT_EQ(name.text(), text);
  }
  for (const std::string& text :
       {""s, "acme"s, "acme/"s, "/total"s, "acme/Total"s, "a/b/c"s, "acme@x/y"s, "acme/total@a@b"s, "acme/total@%"s}) {
    EXPECT_CODE(NodeName::parse(text), Code::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace espalier::model
