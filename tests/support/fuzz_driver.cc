#include "tests/support/fuzz_driver.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <random>

#include "common/clock.h"

// The name is the sanitizer runtime's; absent without one.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(
    void (*)());  // NOLINT(bugprone-reserved-identifier)

namespace espalier::testing {
namespace {

// The input that is being tried, for the handler of a crash.
const char* current_input = nullptr;
std::size_t current_size = 0;
char crash_file[64];

void keep_current_input() {
  const int fd = ::open(crash_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return;
  [[maybe_unused]] auto written = ::write(fd, current_input, current_size);
  ::close(fd);
  written = ::write(STDERR_FILENO, "the input is in ", 16);
  written = ::write(STDERR_FILENO, crash_file, std::strlen(crash_file));
  written = ::write(STDERR_FILENO, "\n", 1);
}

void on_crash(int signal) {
  keep_current_input();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void watch_for_crashes(std::uint64_t seed) {
  std::snprintf(crash_file, sizeof crash_file, "fuzz-crash-%llu", static_cast<unsigned long long>(seed));
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(keep_current_input);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    if (signal == SIGABRT || __sanitizer_set_death_callback == nullptr) ::signal(signal, on_crash);
  }
}

std::uint64_t number_setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t next(std::uint64_t& state) {
  // SplitMix64
  std::uint64_t z = state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

std::size_t below(std::uint64_t& state, std::size_t limit) { return limit == 0 ? 0 : next(state) % limit; }

/// Overwrites 1, 2, 4 or 8 bytes with a number at one of its limits, in either byte order.
void put_limit(std::string& input, std::uint64_t& state) {
  static constexpr std::uint64_t kLimits[] = {0,
                                              1,
                                              0x7F,
                                              0x80,
                                              0xFF,
                                              0x7FFF,
                                              0x8000,
                                              0xFFFF,
                                              0x7FFFFFFF,
                                              0x80000000,
                                              0xFFFFFFFF,
                                              0x7FFFFFFFFFFFFFFF,
                                              0x8000000000000000,
                                              0xFFFFFFFFFFFFFFFF};
  std::uint64_t value = kLimits[below(state, std::size(kLimits))];
  const std::size_t width = std::size_t{1} << below(state, 4);
  if (input.size() < width) return;
  if (next(state) % 2 == 0) value = __builtin_bswap64(value) >> (64 - 8 * width);
  std::memcpy(input.data() + below(state, input.size() - width + 1), &value, width);
}

/// Puts a piece of another input (or of the same) somewhere.
void splice(std::string& input, const std::string& other, std::uint64_t& state) {
  const std::size_t from = below(state, other.size() + 1);
  const std::size_t size = below(state, std::min<std::size_t>(other.size() - from, 256) + 1);
  const std::size_t to = below(state, input.size() + 1);
  if (next(state) % 2 == 0) {
    input.insert(to, other, from, size);
  } else {
    input.replace(to, std::min(size, input.size() - to), other, from, size);
  }
}

void mutate_once(std::string& input, const std::vector<std::string>& seeds, std::uint64_t& state) {
  switch (below(state, 7)) {
    case 0:
    case 1:
      if (!input.empty()) input[below(state, input.size())] ^= static_cast<char>(1u << below(state, 8));
      break;
    case 2:
      if (!input.empty()) input[below(state, input.size())] = static_cast<char>(next(state));
      break;
    case 3: input.resize(below(state, input.size() + 1)); break;
    case 4: splice(input, seeds[below(state, seeds.size())], state); break;
    case 5: put_limit(input, state); break;
    case 6: {
      const std::size_t from = below(state, input.size() + 1);
      input.erase(from, below(state, 16));
      break;
    }
  }
}

}  // namespace

std::string mutate(const std::vector<std::string>& seeds, std::uint64_t& state) {
  std::string input = seeds[below(state, seeds.size())];
  const std::size_t times = 1 + below(state, 4);
  for (std::size_t i = 0; i < times; ++i) mutate_once(input, seeds, state);
  return input;
}

namespace {

/// Inputs that were taken are mutated again, so many of them at a time, and none that has grown beyond this.
constexpr std::size_t kKeptInputs = 2048;
constexpr std::size_t kLongestKept = 1 << 20;

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <class Target>
int fuzz(const std::vector<std::string>& seeds, Target target) {
  assert(!seeds.empty());
  const std::uint64_t seed = number_setting("ESPALIER_FUZZ_SEED", std::random_device{}());
  const auto seconds = static_cast<std::int64_t>(number_setting("ESPALIER_FUZZ_SECONDS", 1));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  watch_for_crashes(seed);

  const auto try_input = [target](const std::string& input) {
    const auto exact = std::make_unique<char[]>(input.size());
    std::memcpy(exact.get(), input.data(), input.size());
    current_input = exact.get();
    current_size = input.size();
    return target({exact.get(), input.size()});
  };
  for (const std::string& input : seeds) try_input(input);
  const std::int64_t end = Clock::system().monotonic_us() + seconds * 1'000'000;
  std::uint64_t state = seed;
  std::uint64_t inputs = seeds.size(), taken = 0;
  std::vector<std::string> pool = seeds;
  for (; Clock::system().monotonic_us() < end; ++inputs) {
    // From the first seeds as often as from what became of them, which may have become little.
    std::string input = mutate(next(state) % 2 == 0 ? seeds : pool, state);
    if (!try_input(input)) continue;
    ++taken;
    if (input.size() > kLongestKept) continue;
    if (pool.size() < seeds.size() + kKeptInputs) {
      pool.push_back(std::move(input));
    } else {
      pool[seeds.size() + below(state, kKeptInputs)] = std::move(input);
    }
  }
  std::printf("%llu inputs, %llu taken, %.0f s of CPU\n", static_cast<unsigned long long>(inputs),
              static_cast<unsigned long long>(taken), cpu_seconds());
  return 0;
}

}  // namespace

int run_fuzzer(const std::vector<std::string>& seeds, void (*target)(std::string_view)) {
  return fuzz(seeds, [target](std::string_view input) {
    target(input);
    return false;
  });
}

int run_fuzzer(const std::vector<std::string>& seeds, bool (*target)(std::string_view)) { return fuzz(seeds, target); }

}  // namespace espalier::testing
