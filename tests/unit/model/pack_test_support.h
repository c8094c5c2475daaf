// What the tests of packs put into them.
#pragma once

#include <string>

#include "model/pack.h"

namespace espalier::model {

/// Segments of a page: a few artefacts fill one.
inline constexpr PackOptions kSmall{4096};

/// Bytes that differ for each number, of a length of their own.
inline std::string artefact(int number) {
  std::string bytes = "artefact " + std::to_string(number) + " ";
  while (bytes.size() < 40 + static_cast<std::size_t>(number % 7) * 61) bytes += static_cast<char>('a' + number % 26);
  return bytes;
}

}  // namespace espalier::model
