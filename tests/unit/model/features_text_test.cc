// Folding and cutting of text.

#include "model/feature_text.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace espalier::model {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::string out;
  std::vector<std::uint32_t> starts;
  std::vector<std::uint32_t> ends;
  split_words(text, out, starts, ends);
  std::vector<std::string> words;
  for (std::size_t i = 0; i < starts.size(); ++i) words.push_back(out.substr(starts[i], ends[i] - starts[i]));
  return words;
}

std::string characters(std::string_view text) {
  std::string out;
  std::vector<std::uint32_t> starts;
  split_characters(text, out, starts);
  return out;
}

std::size_t char_grams(std::string_view text, std::size_t low, std::size_t high, bool across) {
  std::string out;
  std::vector<std::uint32_t> starts;
  split_characters(text, out, starts);
  std::size_t count = 0;
  each_char_gram(out, starts, low, high, across, [&](std::uint64_t) { ++count; });
  return count;
}

TEST(Text, IsFoldedToLowerCase) {
  const std::vector<std::pair<char32_t, char32_t>> cases = {
      {'A', 'a'},     {'z', 'z'},     {'[', '['},     {0xC4, 0xE4},     {0xD7, 0xD7},     {0xDF, 0xDF},
      {0x100, 0x101}, {0x130, 'i'},   {0x131, 0x131}, {0x139, 0x13A},   {0x148, 0x148},   {0x178, 0xFF},
      {0x17D, 0x17E}, {0x17F, 0x17F}, {0x1E9E, 0xDF}, {0x1EA0, 0x1EA1}, {0x386, 0x3AC},   {0x38F, 0x3CE},
      {0x3A9, 0x3C9}, {0x3C9, 0x3C9}, {0x401, 0x451}, {0x416, 0x436},   {0x42F, 0x44F},   {0x490, 0x491},
      {0x4C0, 0x4CF}, {0x4C1, 0x4C2}, {0x4CF, 0x4CF}, {0x531, 0x561},   {0xFF21, 0xFF41}, {0x4E2D, 0x4E2D}};
  for (const auto& [from, to] : cases) EXPECT_EQ(fold(from), to) << std::hex << static_cast<std::uint32_t>(from);
}

TEST(Text, FallsIntoWords) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"", {}},
      {" \t\n", {}},
      {"...!", {}},
      {"Hi", {"hi"}},
      {"don't stop_me 42", {"don", "t", "stop_me", "42"}},
      {"\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82, \xC3\x84rger",
       {"\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82", "\xC3\xA4rger"}},
      {"a\xE2\x80\x94"
       "b\xC2\xA0"
       "c",
       {"a", "b", "c"}},
      {"a\xFF"
       "b\xC0\x80"
       "c\xED\xA0\x80"
       "d\xF4\x90\x80\x80"
       "e\xE2\x82",
       {"a", "b", "c", "d", "e"}},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(words(text), expected) << text;
}

TEST(Text, FallsIntoCharacters) {
  EXPECT_EQ(characters(""), "");
  EXPECT_EQ(characters("  \n"), "");
  EXPECT_EQ(characters("A  b!"), " a b! ");
  EXPECT_EQ(characters("\xFF\xC3"), " \xEF\xBF\xBD\xEF\xBF\xBD ");
}

TEST(Text, CharacterGramsStayWithinWords) {
  EXPECT_EQ(char_grams("", 1, 8, false), 0u);
  EXPECT_EQ(char_grams("ab", 2, 2, false), 3u);  // " a" "ab" "b "
  EXPECT_EQ(char_grams("ab", 3, 8, false), 3u);  // " ab" "ab " and, once, " ab "
  EXPECT_EQ(char_grams("ab cd", 2, 2, false), 6u);
  EXPECT_EQ(char_grams("ab cd", 2, 2, true), 6u);
  EXPECT_EQ(char_grams("ab cd", 3, 3, false), 4u);
  EXPECT_EQ(char_grams("ab cd", 3, 3, true), 5u);
  EXPECT_EQ(char_grams("a", 1, 1, false), 3u);
}

TEST(Text, CountsUpToItsLimit) {
  std::string text(kMaxTextBytes - 1, 'a');
  text +=
      "\xC3\x84"
      "b";
  EXPECT_EQ(words(text)[0].size(), kMaxTextBytes - 1);
  EXPECT_EQ(words(std::string(10 * kMaxTextBytes, 'b'))[0].size(), kMaxTextBytes);
  EXPECT_EQ(words(std::string(10 * kMaxTextBytes, '\x80')).size(), 0u);
}

}  // namespace
}  // namespace espalier::model
