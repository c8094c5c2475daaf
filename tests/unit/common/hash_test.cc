#include "common/hash.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace espalier {
namespace {

TEST(Hash, KnownValues) {
  EXPECT_EQ(blake2b_256("").hex(), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_EQ(blake2b_256("abc").hex(), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  EXPECT_EQ(xxh3_64(""), 0x2D06800538D394C2u);
  EXPECT_EQ(xxh3_64("abc"), 0x78AF5F94892F3950u);
  EXPECT_EQ(xxh3_64("abc"), xxh3_64("abc", 0));
  EXPECT_NE(xxh3_64("abc"), xxh3_64("abc", 1));
}

TEST(Hash, PiecesGiveTheHashOfTheWhole) {
  const std::string bytes(1000, 'e');
  for (const std::size_t cut : {0u, 1u, 127u, 128u, 129u, 999u, 1000u}) {
    Hasher256 hasher;
    hasher.update(std::string_view(bytes).substr(0, cut));
    hasher.update(std::string_view(bytes).substr(cut));
    EXPECT_EQ(hasher.finish(), blake2b_256(bytes)) << cut;
  }
}

TEST(Hash, RoundTrips) {
  const Hash256 hash = blake2b_256("x");
  EXPECT_FALSE(hash.is_none());
  EXPECT_TRUE(Hash256{}.is_none());
  ASSERT_OK_AND_ASSIGN(const Hash256 from_text, Hash256::parse(hash.hex()));
  ASSERT_OK_AND_ASSIGN(const Hash256 from_raw, Hash256::from_bytes(hash.view()));
  EXPECT_EQ(from_text, hash);
  EXPECT_EQ(from_raw, hash);
}

TEST(Hash, Rejects) {
  for (const std::string& text : {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'),
                                  std::string(62, 'a'), " " + std::string(63, 'a')}) {
    EXPECT_CODE(Hash256::parse(text), Code::invalid_argument) << text;
  }
  for (const std::size_t size : {0u, 31u, 33u, 64u}) {
    EXPECT_CODE(Hash256::from_bytes(std::string(size, 'x')), Code::invalid_argument) << size;
  }
}

}  // namespace
}  // namespace espalier
