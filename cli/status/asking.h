// One question to each of many endpoints, all at once; and whether somebody is there where no answer comes.
//
// Thread safety: one thread. Errors: an endpoint that can't be asked is one that doesn't answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/status/evidence.h"
#include "client/exchange.h"
#include "common/curve_key.h"

namespace espalier::cli {

/// With what key, and whether it may ask in clear text where others could listen.
struct Asker {
  std::shared_ptr<const KeyPair> key;
  bool insecure = false;
};

class Asking {
 public:
  explicit Asking(Asker asker) : asker_(std::move(asker)) {}

  /// The answer's number.
  std::size_t ask(const std::string& endpoint, std::string header);
  /// Returns when all have answered, or the time is over.
  void wait(std::int64_t patience_us);

  struct Answer {
    std::string endpoint;
    Reach reach = Reach::away;
    Status status = unavailable("no answer");
    std::string header;                         ///< of the reply; status ok
    std::int64_t sent_us = 0, answered_us = 0;  ///< this machine's clock on the wall
  };
  const Answer& answer(std::size_t number) const { return answers_[number]; }
  /// Takes reach, why and clock from the answer; `wall_us`: what it says its clock is.
  static void note(const Answer& answer, Asked& asked);
  static void note_clock(const Answer& answer, std::int64_t wall_us, Asked& asked);

 private:
  struct Open {
    std::size_t number;
    std::unique_ptr<client::Exchange> exchange;
  };

  const Asker asker_;
  std::vector<Answer> answers_;
  std::vector<Open> open_;
};

}  // namespace espalier::cli
