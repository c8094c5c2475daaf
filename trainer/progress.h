// What a trainer says while it works: one JSON object a line on stdout.
//
//   {"stage": "read", "rows": 124699, "seconds": 0.05}        a stage that has ended
//   {"stage": "train", "tenant": "acme", "nodes": 120, "of": 4500}    on the way; at most ten a second
//   {"stage": "warning", "tenant": "acme", "message": "..."}    the release is published all the same
//   {"done": true, "release": "...", "nodes": 4500, "seconds": 1.4, "tenants": [...]}    the last line
//
// Thread safety: from any thread. Errors: a reader that has gone is ignored.
#pragma once

#include <cstdint>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace espalier::trainer {

class Progress {
 public:
  void say(const nlohmann::json& line);
  /// Passed over when one was said a moment ago, except for the last.
  void on_the_way(const std::string& tenant, std::size_t done, std::size_t of);

 private:
  std::mutex mutex_;
  std::int64_t last_us_ = 0;  // guarded by mutex_
};

}  // namespace espalier::trainer
