#include "common/bytes.h"

#include <gtest/gtest.h>

using namespace std::string_literals;

namespace espalier {
namespace {

TEST(Bytes, BigEndianNumbersSortAsTheyCount) {
  std::string last;
  for (const std::uint64_t value : {0ull, 1ull, 255ull, 256ull, 1ull << 32, ~0ull}) {
    std::string bytes;
    append_u64_be(bytes, value);
    ASSERT_EQ(bytes.size(), 8u);
    EXPECT_EQ(load_u64_be(bytes.data()), value);
    EXPECT_LT(last, bytes);
    last = bytes;
  }
  std::string bytes = "x";
  append_u32_be(bytes, 0x01020304);
  EXPECT_EQ(bytes, "x\x01\x02\x03\x04"s);
  EXPECT_EQ(load_u32_be(bytes.data() + 1), 0x01020304u);
}

TEST(Bytes, LittleEndianAsItLies) {
  std::string bytes = "x";
  append<std::uint32_t>(bytes, 0x01020304);
  append(bytes, 0.5f);
  EXPECT_EQ(bytes.substr(1, 4), "\x04\x03\x02\x01"s);
  EXPECT_EQ(load<std::uint32_t>(bytes.data() + 1), 0x01020304u);
  EXPECT_EQ(load<float>(bytes.data() + 5), 0.5f);
}

TEST(Bytes, Hexadecimal) {
  EXPECT_EQ(to_hex("\x00\xff\x1A"s.substr(0, 3)), "00ff1a");
  EXPECT_EQ(from_hex("00fF1a"), "\x00\xff\x1a"s);
  EXPECT_EQ(from_hex(""), "");
  for (const char* wrong : {"0", "0g", "g0", " 00", "0x00", "00 "}) EXPECT_EQ(from_hex(wrong), std::nullopt) << wrong;
}

TEST(Bytes, Utf8Accepted) {
  for (const std::string& text :
       {""s, "plain"s, "\0"s, "\xC2\x80"s, "é"s, "\xE0\xA0\x80"s, "€"s, "\xED\x9F\xBF"s, "\xEE\x80\x80"s,
        "\xEF\xBF\xBF"s, "\xF0\x90\x80\x80"s, "😀"s, "\xF4\x8F\xBF\xBF"s, "aé€😀z"s}) {
    EXPECT_TRUE(is_utf8(text)) << to_hex(text);
  }
}

TEST(Bytes, Utf8Rejected) {
  for (const std::string& text : {
           "\x80"s,
           "\xBF"s,
           "\xFE"s,
           "\xFF"s,  // never a lead
           "\xC0\x80"s,
           "\xC1\xBF"s,
           "\xE0\x9F\xBF"s,  // overlong
           "\xF0\x8F\xBF\xBF"s,
           "\xF8\x88\x80\x80\x80"s,  // overlong, five bytes
           "\xED\xA0\x80"s,
           "\xED\xBF\xBF"s,  // surrogates
           "\xF4\x90\x80\x80"s,
           "\xF5\x80\x80\x80"s,  // beyond U+10FFFF
           "\xC3"s,
           "\xE2\x82"s,
           "\xF0\x9F\x98"s,
           "a\xC3"s,  // cut short
           "\xC3z"s,
           "\xE2z\x82"s,
           "\xE2\x82z"s,
           "\xF0\x9F\x98z"s,     // not continued
           "\xE2\x82\xAC\x80"s,  // one too many
       }) {
    EXPECT_FALSE(is_utf8(text)) << to_hex(text);
  }
}

}  // namespace
}  // namespace espalier
