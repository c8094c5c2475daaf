#include "common/clock.h"

#include <ctime>

namespace espalier {
namespace {

std::int64_t read_us(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

class SystemClock final : public Clock {
 public:
  std::int64_t monotonic_us() const override { return read_us(CLOCK_MONOTONIC); }
  std::int64_t wall_us() const override { return read_us(CLOCK_REALTIME); }
};

}  // namespace

const Clock& Clock::system() {
  static const auto* const clock = new SystemClock();  // never destroyed: whoever runs last may look at it
  return *clock;
}

}  // namespace espalier
