// Random mutations of good inputs, thrown at a parser for a second.
//
//   void target(std::string_view input) { ... parse it; abort() when a rule is broken ... }
//   int main() { return espalier::testing::run_fuzzer({golden_message()}, target); }
//
// A target that says which inputs it took (bool) is led deeper: those are mutated further. The seed is printed;
// ESPALIER_FUZZ_SEED repeats a run, ESPALIER_FUZZ_SECONDS makes it longer. An input that crashes
// the program is written to a file of the working folder whose name is printed: make a unit test of it.
//
// Thread safety: one run in a process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace espalier::testing {

/// Returns 0, for main(), when the time is up. REQUIRES: at least one seed input. `target` gets each input in an
/// allocation of exactly its size, so that AddressSanitizer sees a byte read beyond it.
int run_fuzzer(const std::vector<std::string>& seeds, void (*target)(std::string_view));
/// The same for a target that says whether it took the input: what a good one has become is a seed, too.
int run_fuzzer(const std::vector<std::string>& seeds, bool (*target)(std::string_view));

/// One mutation of a random seed: bit flips, truncation, splices, repeated and removed pieces, numbers at their limits.
/// A pure function of `state`, which it advances.
std::string mutate(const std::vector<std::string>& seeds, std::uint64_t& state);

}  // namespace espalier::testing
