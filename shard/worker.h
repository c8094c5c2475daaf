// One thread of a shard: its own socket and endpoint, its own memory, no hand-over to any other thread.
//
// Thread safety: made by the main thread, then run() on one thread of its own; the counters may be read from any
// thread. Ownership: borrows the table and the stop signal.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/metrics.h"
#include "shard/busiest.h"
#include "shard/model_table.h"
#include "shard/predict.h"
#include "shard/shard_status.h"
#include "wire/keyring.h"
#include "wire/socket.h"

namespace espalier::shard {

class Worker {
 public:
  /// Binds `endpoint`; requests wait in the socket until run(). `key`: the shard's; `keyring`: of the context, by which
  /// it tells who asks.
  static Result<std::unique_ptr<Worker>> make(wire::Context& context, const std::string& shard,
                                              const std::string& endpoint, LiveTable& live, Damage& damage,
                                              Verify verify, const Clock& clock, const ShardStatus* status = nullptr,
                                              std::shared_ptr<const KeyPair> key = nullptr,
                                              wire::Keyring* keyring = nullptr);

  /// Answers until `stop_fd` is readable and what has been sent by then is answered.
  void run(int stop_fd);

  /// That others connect to.
  const std::string& endpoint() const { return endpoint_; }
  const AnswerCounts& counts() const { return predictor_.counts(); }
  const VersionTraffic& versions() const { return predictor_.versions(); }
  std::uint64_t answered() const { return answered_.value(); }
  /// What it is asked for most.
  Busiest& busiest() { return busiest_; }
  /// Replies that could not be delivered: the peer is gone, or takes nothing.
  std::uint64_t undelivered() const { return undelivered_.value(); }

 private:
  Worker(std::unique_ptr<wire::Socket> socket, std::string shard, LiveTable& live, Damage& damage, Verify verify,
         const Clock& clock, const ShardStatus* status, wire::Keyring* keyring);
  /// Answers what is there, at most a few hundred; false when nothing was.
  bool drain();
  void handle();
  void answer(const Principal& principal, std::string_view peer, std::string_view header);
  void predict(const Principal& principal, std::string_view peer, std::string_view header);
  void refuse(const Status& status);
  void send_reply(std::size_t envelope);

  const std::string shard_;
  std::unique_ptr<wire::Socket> socket_;
  std::string endpoint_;
  LiveTable& live_;
  LiveTable::Reader reader_;
  const Clock& clock_;
  const ShardStatus* const status_;  ///< null: nobody may ask
  wire::Door door_;
  Predictor predictor_;
  Busiest busiest_;
  std::int64_t now_us_ = 0;  ///< monotonic time, of when the message was taken up
  bool is_time_old_ = true;
  Counter answered_;
  Counter undelivered_;
  // Reused.
  wire::Message message_;
  std::vector<std::string_view> bodies_;
  Reply reply_;
};

}  // namespace espalier::shard
