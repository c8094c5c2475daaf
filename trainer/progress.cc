#include "trainer/progress.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/clock.h"

namespace espalier::trainer {
namespace {

constexpr std::int64_t kPauseUs = 100'000;

}  // namespace

void Progress::say(const nlohmann::json& line) {
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::lock_guard lock(mutex_);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Progress::on_the_way(const std::string& tenant, std::size_t done, std::size_t of) {
  {
    std::lock_guard lock(mutex_);
    const std::int64_t now = Clock::system().monotonic_us();
    if (done < of && now - last_us_ < kPauseUs) return;
    last_us_ = now;
  }
  say({{"stage", "train"}, {"tenant", tenant}, {"nodes", done}, {"of", of}});
}

}  // namespace espalier::trainer
