#include "model/feature_text.h"

namespace espalier::model {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

std::string_view within_limit(std::string_view text) {
  if (text.size() <= kMaxTextBytes) return text;
  std::size_t size = kMaxTextBytes;
  for (int back = 0; back < 3 && (text[size] & 0xC0) == 0x80; ++back) --size;
  return text.substr(0, size);
}

/// Decodes one character at `at` and moves on; a byte that starts no well-formed character is U+FFFD by itself.
char32_t next_character(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at++);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xC2 && lead < 0xE0   ? 1
                   : lead >= 0xE0 && lead < 0xF0 ? 2
                   : lead >= 0xF0 && lead < 0xF5 ? 3
                                                 : 0;
  if (more == 0 || text.size() - at < static_cast<std::size_t>(more)) return kReplacement;
  char32_t c = lead & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return kReplacement;
    c = c << 6 | (byte(at + i) & 0x3F);
  }
  const bool overlong = (more == 2 && c < 0x800) || (more == 3 && c < 0x10000);
  if (overlong || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return kReplacement;
  at += more;
  return c;
}

void append_utf8(std::string& to, char32_t c) {
  if (c < 0x80) {
    to.push_back(static_cast<char>(c));
    return;
  }
  if (c < 0x800) {
    to.push_back(static_cast<char>(0xC0 | c >> 6));
  } else {
    if (c < 0x10000) {
      to.push_back(static_cast<char>(0xE0 | c >> 12));
    } else {
      to.push_back(static_cast<char>(0xF0 | c >> 18));
      to.push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    }
    to.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
  }
  to.push_back(static_cast<char>(0x80 | (c & 0x3F)));
}

bool is_space(char32_t c) {
  return c <= 0x20 || c == 0x7F || (c >= 0x80 && c <= 0xA0) || c == 0x1680 || (c >= 0x2000 && c <= 0x200B) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF;
}

bool is_word(char32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  return !is_space(c) && c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c < 0x2070) && !(c >= 0x3001 && c < 0x3004) &&
         !(c >= 0x3008 && c < 0x3020) && !(c >= 0xFF00 && c < 0xFF10) && c != kReplacement;
}

/// Blocks where upper and lower case alternate, the upper one even.
bool even_is_upper(char32_t c) {
  return (c >= 0x100 && c < 0x130) || (c >= 0x132 && c < 0x138) || (c >= 0x14A && c < 0x178) ||
         (c >= 0x1E00 && c < 0x1E96) || (c >= 0x1EA0 && c < 0x1F00) || (c >= 0x460 && c < 0x482) ||
         (c >= 0x48A && c < 0x4C0) || (c >= 0x4D0 && c < 0x530);
}

bool odd_is_upper(char32_t c) {
  return (c >= 0x139 && c < 0x149) || (c >= 0x179 && c < 0x17F) || (c >= 0x4C1 && c < 0x4CF);
}

char32_t fold_greek(char32_t c) {
  if (c >= 0x391 && c <= 0x3AB && c != 0x3A2) return c + 32;
  if (c == 0x386) return 0x3AC;
  if (c >= 0x388 && c <= 0x38A) return c + 37;
  if (c == 0x38C) return 0x3CC;
  if (c == 0x38E || c == 0x38F) return c + 63;
  return c;
}

}  // namespace

char32_t fold(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  if (c < 0x100) return c >= 0xC0 && c <= 0xDE && c != 0xD7 ? c + 32 : c;
  if (c == 0x130) return 'i';
  if (c == 0x178) return 0xFF;
  if (c == 0x1E9E) return 0xDF;
  if (even_is_upper(c)) return c | 1;
  if (odd_is_upper(c)) return c + (c & 1);
  if (c >= 0x370 && c < 0x400) return fold_greek(c);
  if (c >= 0x400 && c < 0x410) return c + 80;
  if (c >= 0x410 && c < 0x430) return c + 32;
  if (c == 0x4C0) return 0x4CF;
  if (c >= 0x531 && c <= 0x556) return c + 48;
  if (c >= 0xFF21 && c <= 0xFF3A) return c + 32;
  return c;
}

void split_words(std::string_view text, std::string& out, std::vector<std::uint32_t>& starts,
                 std::vector<std::uint32_t>& ends) {
  text = within_limit(text);
  out.clear();
  starts.clear();
  ends.clear();
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    if (is_word(c)) {
      if (!inside) {
        if (!out.empty()) out.push_back(' ');
        starts.push_back(static_cast<std::uint32_t>(out.size()));
      }
      append_utf8(out, fold(c));
    } else if (inside) {
      ends.push_back(static_cast<std::uint32_t>(out.size()));
    }
    inside = is_word(c);
  }
  if (inside) ends.push_back(static_cast<std::uint32_t>(out.size()));
}

void split_characters(std::string_view text, std::string& out, std::vector<std::uint32_t>& starts) {
  text = within_limit(text);
  out.clear();
  starts.clear();
  bool space = true;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    if (is_space(c)) {
      space = true;
      continue;
    }
    if (space) {
      starts.push_back(static_cast<std::uint32_t>(out.size()));
      out.push_back(' ');
      space = false;
    }
    starts.push_back(static_cast<std::uint32_t>(out.size()));
    append_utf8(out, fold(c));
  }
  if (out.empty()) return;
  starts.push_back(static_cast<std::uint32_t>(out.size()));
  out.push_back(' ');
  starts.push_back(static_cast<std::uint32_t>(out.size()));
}

}  // namespace espalier::model
