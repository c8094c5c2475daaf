// The registry as a shard's control thread needs it; an interface so that the feed is tested without sockets.
//
// Thread safety: control thread. Errors: unavailable when the registry can't be reached in time; others are the
// registry's own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "wire/membership_messages.h"
#include "wire/messages.h"

namespace espalier::wire {
class Context;
}

namespace espalier::shard {

class Upstream {
 public:
  virtual ~Upstream() = default;
  virtual Result<wire::HelloReply> call(const wire::HelloRequest& request) = 0;
  virtual Result<wire::EpochReply> call(const wire::JoinRequest& request) = 0;
  virtual Result<wire::RenewReply> call(const wire::RenewRequest& request) = 0;
  virtual Result<wire::ViewReply> call(const wire::ViewRequest& request) = 0;
  virtual Result<wire::FeedReply> call(const wire::FeedRequest& request) = 0;
  virtual Result<wire::ModelsReply> call(const wire::ModelsRequest& request) = 0;
  virtual Result<wire::EntriesReply> call(const wire::ChangedEntriesRequest& request) = 0;
  virtual Result<wire::EntriesReply> call(const wire::TagEntriesRequest& request) = 0;
  virtual Result<wire::AckReply> call(const wire::AckRequest& request) = 0;
  /// One body for each artefact of the reply's `found`.
  virtual Result<wire::FetchReply> call(const wire::FetchRequest& request, std::vector<std::string>& bodies) = 0;

  /// Renews the lease when that is due, without waiting for the reply. Every call does this; where work takes long
  /// without one, it is done in between. Costs a look at the clock.
  virtual void keep_lease() {}
  /// The reply to a renewal, once; nothing: none has come since.
  virtual std::optional<Result<wire::RenewReply>> take_renewal() { return std::nullopt; }
};

}  // namespace espalier::shard
