// Text that is_utf8() takes must be what a decoder of its own reads back to the same bytes; hexadecimal goes there and
// back.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/hash.h"
#include "common/uuid.h"
#include "tests/support/fuzz_driver.h"

namespace {

/// Writes one code point as UTF-8.
void encode(std::string& to, std::uint32_t point) {
  if (point < 0x80) {
    to.push_back(static_cast<char>(point));
    return;
  }
  const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  to.push_back(static_cast<char>((0xF0u << (3 - more) & 0xFF) | point >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) to.push_back(static_cast<char>(0x80 | (point >> (6 * i) & 0x3F)));
}

/// Decodes without checking anything, then encodes again in the shortest form: equal for well-formed text only.
std::string decoded_and_encoded(std::string_view text) {
  std::string again;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    std::uint32_t point = more == 0 ? lead : lead & (0x3Fu >> more);
    for (std::size_t j = 1; j <= more && i + j < text.size(); ++j) {
      point = point << 6 | (static_cast<unsigned char>(text[i + j]) & 0x3Fu);
    }
    if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return "not a character: " + std::string(text);
    encode(again, point);
    i += more + 1;
  }
  return again;
}

void target(std::string_view input) {
  if (espalier::is_utf8(input) != (decoded_and_encoded(input) == input)) std::abort();
  if (espalier::from_hex(espalier::to_hex(input)) != input) std::abort();
  const auto hash = espalier::Hash256::parse(input);
  if (hash.ok() && hash->hex().size() != input.size()) std::abort();
  const auto uuid = espalier::Uuid::parse(input);
  if (uuid.ok() && uuid->text().size() != input.size()) std::abort();
}

}  // namespace

int main() {
  return espalier::testing::run_fuzzer(
      {"plain", "aé€😀z", "\xED\x9F\xBF\xEE\x80\x80", "\xF4\x8F\xBF\xBF", "0e5751c0", "",
       "018bcfe5-68fb-7abc-8def-0123456789ab", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
      target);
}
