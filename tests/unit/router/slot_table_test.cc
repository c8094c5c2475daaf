#include "router/slot_table.h"

#include <gtest/gtest.h>

#include <string>

namespace espalier::router {
namespace {

TEST(SlotTable, FindsWhatIsInFlightAndNothingElse) {
  SlotTable<std::string> table(2);
  const Ticket first = table.add();
  *table.find(first) = "first";
  EXPECT_EQ(*table.find(first), "first");
  EXPECT_EQ(table.find({first.slot, first.use + 1}), nullptr);
  EXPECT_EQ(table.find({first.slot + 1, first.use}), nullptr);
  EXPECT_EQ(table.find({~0u, 0}), nullptr);
  EXPECT_EQ(table.size(), 1u);
}

TEST(SlotTable, ALateReplyNeverFindsTheNextRequestInItsSlot) {
  SlotTable<int> table(1);
  const Ticket old = table.add();
  table.remove(old);
  const Ticket next = table.add();
  EXPECT_EQ(next.slot, old.slot);
  EXPECT_EQ(table.find(old), nullptr);
  EXPECT_NE(table.find(next), nullptr);
}

TEST(SlotTable, IsFullAtItsLimitAndKeepsAPayloadsMemory) {
  SlotTable<std::string> table(2);
  const Ticket a = table.add();
  *table.find(a) = std::string(100, 'x');
  const char* memory = table.find(a)->data();
  table.add();
  EXPECT_TRUE(table.is_full());
  table.remove(a);
  EXPECT_FALSE(table.is_full());
  const Ticket again = table.add();
  table.find(again)->assign("short");
  EXPECT_EQ(table.find(again)->data(), memory);
}

}  // namespace
}  // namespace espalier::router
