#include "registry/pending_changes.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace espalier::registry {
namespace {

using Lines = std::map<std::string, std::string, std::less<>>;

/// Over a list that stays as it is.
class ListCursor final : public Cursor {
 public:
  explicit ListCursor(Lines lines) : lines_(std::move(lines)) {}
  bool valid() const override { return at_ != lines_.end(); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }
  void next() override { ++at_; }
  void previous() override { at_ = at_ == lines_.begin() ? lines_.end() : std::prev(at_); }
  void seek(std::string_view key) override { at_ = lines_.lower_bound(key); }
  void seek_before(std::string_view key) override {
    at_ = lines_.lower_bound(key);
    previous();
  }
  Status status() const override { return {}; }

 private:
  const Lines lines_;
  Lines::const_iterator at_ = lines_.end();
};

std::string key_of(unsigned number) {
  return {static_cast<char>('a' + number / 5), static_cast<char>('a' + number % 5)};
}

void change(PendingChanges& changes, Lines& expected, std::mt19937& chance) {
  const std::string key = key_of(chance() % 25);
  if (chance() % 3 == 0) {
    changes.remove(key);
    expected.erase(key);
  } else {
    const std::string value = std::to_string(chance() % 1000);
    changes.put(key, value);
    expected[key] = value;
  }
}

std::string at(const Cursor& cursor) {
  return cursor.valid() ? std::string(cursor.key()) + "=" + std::string(cursor.value()) : "(end)";
}

/// The cursor goes as one over `expected` does, whichever way.
void walk(Cursor& cursor, const Lines& expected, std::mt19937& chance) {
  ListCursor right(expected);
  for (int step = 0; step < 40; ++step) {
    const std::string key = key_of(chance() % 26);
    const unsigned way = right.valid() ? chance() % 8 : chance() % 2;
    for (Cursor* const each : {&cursor, static_cast<Cursor*>(&right)}) {
      if (way == 0) each->seek(key);
      if (way == 1) each->seek_before(key);
      if (way >= 2 && way < 5) each->next();
      if (way >= 5) each->previous();
    }
    ASSERT_EQ(at(cursor), at(right)) << "way " << way << " key " << key;
  }
}

TEST(PendingChanges, AreReadTogetherWithWhatLiesBelowInOrderBothWays) {
  std::mt19937 chance(7);
  for (int round = 0; round < 500; ++round) {
    Lines below;
    for (unsigned i = chance() % 12; i > 0; --i) below[key_of(chance() % 25)] = "below";
    Lines expected = below;
    PendingChanges changes;
    for (unsigned i = chance() % 12; i > 0; --i) change(changes, expected, chance);
    const auto cursor = changes.over(std::make_unique<ListCursor>(below));
    ASSERT_NO_FATAL_FAILURE(walk(*cursor, expected, chance)) << "round " << round;
  }
}

TEST(PendingChanges, ACursorKeepsThemAsTheyWere) {
  std::mt19937 chance(7);
  PendingChanges changes;
  Lines expected;
  changes.put("aa", "1");
  expected["aa"] = "1";
  const auto cursor = changes.over(std::make_unique<ListCursor>(Lines{}));
  changes.put("aa", "2");
  changes.remove("aa");
  changes.put("bb", "3");
  walk(*cursor, expected, chance);
  changes = {};
  walk(*cursor, expected, chance);
}

TEST(PendingChanges, TheLastOneCounts) {
  PendingChanges changes;
  EXPECT_TRUE(changes.is_empty());
  EXPECT_EQ(changes.find("a"), nullptr);
  changes.put("a", "1");
  changes.put("a", "2");
  ASSERT_NE(changes.find("a"), nullptr);
  EXPECT_EQ(*changes.find("a"), "2");
  changes.remove("a");
  ASSERT_NE(changes.find("a"), nullptr);
  EXPECT_EQ(*changes.find("a"), std::nullopt);
  EXPECT_FALSE(changes.is_empty());
  changes = {};
  EXPECT_TRUE(changes.is_empty());
}

}  // namespace
}  // namespace espalier::registry
