// Text taken apart for n-grams: folded to lower case, odd bytes replaced, cut into words or characters.
//
// Thread safety: pure functions over the caller's buffers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"

namespace espalier::model {

/// A text counts up to here (and never ends within a character).
inline constexpr std::size_t kMaxTextBytes = 65536;

/// The code point's simple lower case: Latin, Greek, Cyrillic, Armenian and fullwidth letters; others stay.
char32_t fold(char32_t c);

/// Folded words, one space between them. A word is a run of letters, digits and underscores; starts[i]..ends[i] is word
/// i.
void split_words(std::string_view text, std::string& out, std::vector<std::uint32_t>& starts,
                 std::vector<std::uint32_t>& ends);

/// Folded characters with white space run together, one space before and after. starts has the first byte of each
/// character and, last, the size of `out`. Empty when the text has no character but white space.
void split_characters(std::string_view text, std::string& out, std::vector<std::uint32_t>& starts);

/// Calls use(fingerprint) with the 64-bit XXH3 (seed 0) of each n-gram of low to high words.
template <class Use>
void each_word_gram(const std::string& text, const std::vector<std::uint32_t>& starts,
                    const std::vector<std::uint32_t>& ends, std::size_t low, std::size_t high, Use&& use) {
  for (std::size_t first = 0; first < starts.size(); ++first) {
    for (std::size_t last = first + low - 1; last < starts.size() && last < first + high; ++last) {
      use(xxh3_64(std::string_view(text).substr(starts[first], ends[last] - starts[first])));
    }
  }
}

/// The same for low to high characters. Within words (`across` false) an n-gram ends with the space after its word at
/// the latest and starts with the space before it at the earliest; a padded word shorter than n gives itself, once.
template <class Use>
void each_char_gram(const std::string& text, const std::vector<std::uint32_t>& starts, std::size_t low,
                    std::size_t high, bool across, Use&& use) {
  if (starts.size() < 2) return;
  const std::string_view view(text);
  const auto gram = [&](std::size_t from, std::size_t to) {
    use(xxh3_64(view.substr(starts[from], starts[to] - starts[from])));
  };
  const std::size_t count = starts.size() - 1;
  std::size_t begin = 0;
  while (begin + 1 < count) {
    // begin is a space; end is one past the space that closes the piece.
    std::size_t end = across ? count : begin + 2;
    while (end < count && text[starts[end - 1]] != ' ') ++end;
    const std::size_t size = end - begin;
    for (std::size_t n = low; n <= high; ++n) {
      if (size <= n) {
        gram(begin, end);
        break;
      }
      for (std::size_t from = begin; from + n <= end; ++from) gram(from, from + n);
    }
    begin = end - 1;
  }
}

}  // namespace espalier::model
