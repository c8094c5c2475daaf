#include "shard/table_edit.h"

#include <gtest/gtest.h>

#include "shard/holdings.h"
#include "shard/state_file.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/shard/table_builder.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

wire::TagEntry entry(unsigned version, std::uint64_t epoch, EntryKind kind = EntryKind::version) {
  wire::TagEntry entry;
  entry.partition = {"usa"};
  entry.kind = kind;
  entry.version = uuid_of(version);
  entry.epoch = epoch;
  return entry;
}

TEST(NextNode, KeepsWhatIsReadyAndNothingElse) {
  const auto servable = servable_of(0);
  const Admitted ready{servable};
  const Admitted corrupt{nullptr, wire::Reason::corrupt};
  const Admitted elsewhere{nullptr, wire::Reason::cold, false};

  const Node first = next_node(nullptr, entry(1, 5), ready);
  EXPECT_TRUE(first.wanted.is_ready());
  EXPECT_EQ(first.key, node_key_of({"usa"}));

  const Node second = next_node(&first, entry(2, 6), corrupt);
  EXPECT_FALSE(second.wanted.is_ready());
  EXPECT_EQ(second.not_ready, wire::Reason::corrupt);
  EXPECT_EQ(second.previous.version, uuid_of(1));

  const Node third = next_node(&second, entry(3, 7), corrupt);
  EXPECT_EQ(third.previous.version, uuid_of(1)) << "the last *ready* one";
  EXPECT_EQ(next_node(&third, entry(3, 7), ready).previous.servable, nullptr);
  EXPECT_EQ(next_node(&third, entry(3, 7), ready).wanted.version, uuid_of(3));

  EXPECT_EQ(next_node(&first, entry(9, 4), ready).wanted.version, uuid_of(1)) << "an older entry changes nothing";
  EXPECT_EQ(next_node(&first, entry(2, 6), elsewhere).previous.servable, nullptr);
  EXPECT_FALSE(next_node(&first, entry(2, 6), elsewhere).is_held);

  const Node removed = next_node(&first, entry(0, 6, EntryKind::removed), {});
  EXPECT_EQ(removed.kind, EntryKind::removed);
  EXPECT_EQ(next_node(&removed, entry(4, 7), corrupt).previous.servable, nullptr) << "removed in between";
  EXPECT_EQ(next_node(&first, entry(1, 6), corrupt).previous.servable, nullptr) << "the same version is no other";
}

wire::ModelRecord record() {
  wire::ModelRecord record;
  record.tenant = "acme";
  record.model = "total";
  record.levels = {"country"};
  record.fields = {{"x", model::FieldType::number}};
  record.schema = 1;
  return record;
}

TEST(TableEdit, LeavesItsBaseAsItIs) {
  const std::string key = model::model_key("acme", "total");
  TableEdit edit{ModelTable()};
  edit.set_model(record(), true);
  edit.apply(key, "production", entry(1, 5), {servable_of(0)});
  edit.set_release(key, "production", uuid_of(50), 5);
  const auto first = edit.finish(1, 5);

  TableEdit next(*first);
  next.apply(key, "production", entry(2, 6), {servable_of(0)});
  next.apply(key, "production", entry(0, 4, EntryKind::unset), {});
  next.set_release(key, "production", uuid_of(49), 4);
  next.apply(key, "canary", entry(3, 6, EntryKind::removed), {});
  const auto second = next.finish(1, 6);

  const auto version = [&](const ModelTable& table) {
    return table.models.find(key)->find_tag("production")->nodes.find(node_key_of({"usa"}))->wanted.version;
  };
  EXPECT_EQ(version(*first), uuid_of(1));
  EXPECT_EQ(version(*second), uuid_of(2)) << "unsetting at an older epoch changes nothing";
  EXPECT_EQ(second->models.find(key)->find_tag("production")->release, uuid_of(50));
  EXPECT_EQ(first->models.find(key)->tags.size(), 1u);
  EXPECT_EQ(second->models.find(key)->tags.size(), 2u);

  TableEdit last(*second);
  last.clear_nodes(key);
  last.erase_model("other");
  EXPECT_EQ(last.find_node(key, "production", node_key_of({"usa"})), nullptr);
  EXPECT_TRUE(last.finish(1, 7)->models.find(key)->tags.empty());
  TableEdit none(*second);
  none.erase_model(key);
  EXPECT_FALSE(none.has_model(key));
  EXPECT_EQ(none.finish(1, 7)->models.size(), 0u);
}

TEST(TableEdit, AThousandNodesAmongManyStayInOrder) {
  const std::string key = model::model_key("acme", "total");
  TableEdit edit{ModelTable()};
  edit.set_model(record(), true);
  std::vector<wire::TagEntry> entries;
  for (unsigned i = 0; i < 3000; ++i) {
    entries.push_back(entry(i, 1));
    entries.back().partition = {"c" + std::to_string(i)};
    edit.apply(key, "production", entries.back(), {});
  }
  const auto table = edit.finish(1, 1);
  TableEdit next(*table);
  for (unsigned i = 0; i < 3000; i += 3) {
    entries[i].epoch = 2;
    entries[i].kind = EntryKind::unset;
    next.apply(key, "production", entries[i], {});
  }
  const auto smaller = next.finish(1, 2);
  const auto& nodes = smaller->models.find(key)->find_tag("production")->nodes;
  EXPECT_EQ(nodes.size(), 2000u);
  for (unsigned i = 0; i < 3000; ++i) {
    const Node* node = nodes.find(node_key_of(entries[i].partition));
    ASSERT_EQ(node == nullptr, i % 3 == 0);
    if (node != nullptr) {
      ASSERT_EQ(node->wanted.version, uuid_of(i));
    }
  }
  EXPECT_EQ(table->models.find(key)->find_tag("production")->nodes.size(), 3000u);
}

TEST(StateFile, TellsTheTableAgainAndRefusesEveryFlippedByte) {
  const std::string key = model::model_key("acme", "total");
  TableEdit edit{ModelTable()};
  edit.set_model(record(), true);
  edit.apply(key, "production", entry(1, 5), {servable_of(0)});
  edit.set_release(key, "production", uuid_of(50), 5);
  cluster::View view;
  view.number = 3;
  view.shards.push_back({"s0", {"ipc://x"}, 1});
  const std::string bytes = encode_state(state_of(*edit.finish(8, 5), view));
  ASSERT_OK_AND_ASSIGN(const SavedState state, decode_state(bytes));
  EXPECT_EQ(state.generation, 8u);
  EXPECT_EQ(state.epoch, 5u);
  EXPECT_EQ(state.view.number, 3u);
  ASSERT_EQ(state.tags.size(), 1u);
  EXPECT_EQ(state.tags[0].release, uuid_of(50));
  ASSERT_EQ(state.tags[0].entries.size(), 1u);
  EXPECT_EQ(state.tags[0].entries[0].version, uuid_of(1));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_CODE(decode_state(flipped), Code::corrupt) << i;
    EXPECT_CODE(decode_state(std::string_view(bytes).substr(0, i)), Code::corrupt) << i;
  }
}

TEST(Holdings, CountItselfInBeforeTheRegistryDoes) {
  Holdings alone({"s0", {}, 1});
  EXPECT_TRUE(alone.holds_tenant("acme"));
  EXPECT_TRUE(alone.holds("acme", "total", 3, {"usa", "ca", "fresno"}));
  EXPECT_FALSE(alone.holds("acme", "total", 3, {std::string("\xff")})) << "no level value";

  cluster::View view;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) view.shards.push_back({name, {}, 1});
  view.default_spread = 2;
  Holdings joining({"s0", {}, 1});
  joining.set_view(view);
  view.shards.push_back({"s0", {}, 1});
  for (const char* tenant : {"acme", "zenith", "umbra", "delta", "omega", "kappa"}) {
    EXPECT_EQ(joining.holds_tenant(tenant), cluster::holds(view, "s0", tenant, "total", {}, 2)) << tenant;
  }
}

TEST(Holdings, AreWhatIsInForceAndWhatIsNextAndForAWhileWhatWas) {
  const auto view_with = [](cluster::ShardState of_f) {
    cluster::View view;
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) view.shards.push_back({name, {}, 1});
    view.shards.back().state = of_f;
    view.default_spread = 3;
    view.number = of_f == cluster::ShardState::joining ? 1 : 2;
    return view;
  };
  const auto before = view_with(cluster::ShardState::joining), after = view_with(cluster::ShardState::serving);
  constexpr std::int64_t kKept = 1000;
  Holdings holdings({"b", {}, 1}, kKept);
  int lost = 0;
  for (const std::int64_t now : {0, 1, 2}) {
    if (now == 0) holdings.set_view(before, 0);
    for (int again = 0; now == 1 && again < 6; ++again) holdings.set_view(after, now);
    if (now == 2) {
      EXPECT_FALSE(holdings.forget_old(kKept));
      EXPECT_TRUE(holdings.forget_old(kKept + 1));
      EXPECT_FALSE(holdings.forget_old(kKept + 1));
    }
    for (int t = 0; t < 100; ++t) {
      const std::string tenant = "t" + std::to_string(t);
      for (const char* leaf : {"x", "y", "z"}) {
        const auto partition = *model::Partition::from_values({leaf});
        const bool was = cluster::holds(before, "b", tenant, "m", partition, 0);
        const bool is = cluster::holds(after, "b", tenant, "m", partition, 0);
        lost += was && !is && now == 2;
        EXPECT_EQ(holdings.holds(tenant, "m", 1, {leaf}), is || (was && now < 2)) << tenant << " at " << now;
      }
    }
  }
  EXPECT_GT(lost, 10);
}

}  // namespace
}  // namespace espalier::shard
