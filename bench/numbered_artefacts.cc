// Artefacts that can be told apart by what they predict, for tests that check which version answered: the one with
// number N predicts N for a row whose `age` is 0.5. Written to stdout as msgpack: the spec, its fields, the artefacts.
//
//   espalier-numbered-artefacts FIRST COUNT MODEL [LEVEL...]
#include <cstdlib>
#include <iostream>
#include <msgpack.hpp>
#include <string>
#include <vector>

#include "bench/small_artefacts.h"
#include "model/spec.h"

int main(int argc, char** argv) {
  constexpr long kMost = 1L << 24;  // up to here floats are exact
  const long first = argc > 3 ? std::strtol(argv[1], nullptr, 10) : -1;
  const long count = argc > 3 ? std::strtol(argv[2], nullptr, 10) : -1;
  if (first < 0 || count < 1 || first + count > kMost) {
    std::cerr << "usage: espalier-numbered-artefacts FIRST COUNT MODEL [LEVEL...]\n";
    return 2;
  }
  espalier::model::Spec spec;
  spec.model = argv[3];
  spec.task = espalier::model::Task::regression;
  spec.target.column = "y";
  spec.levels.assign(argv + 4, argv + argc);
  spec.features = {{"age", "standardise(age)"}};
  espalier::SmallArtefacts artefacts;
  msgpack::sbuffer buffer;
  msgpack::packer packer(buffer);
  packer.pack_map(2);
  packer.pack(std::string("spec_json"));
  packer.pack(spec.json());
  packer.pack(std::string("artefacts"));
  packer.pack_array(static_cast<std::uint32_t>(count));
  for (long number = first; number < first + count; ++number) {
    const std::string bytes = artefacts.with_bias(static_cast<float>(number));
    packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }
  std::cout.write(buffer.data(), static_cast<std::streamsize>(buffer.size()));
  return std::cout.flush() ? 0 : 1;
}
