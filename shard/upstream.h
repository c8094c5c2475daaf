// The registry as a shard's control thread needs it; an interface so that the feed is tested without sockets.
//
// Thread safety: control thread. Errors: unavailable when the registry can't be reached in time; others are the
// registry's own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
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
  virtual Result<wire::ViewReply> call(const wire::ViewRequest& request) = 0;
  virtual Result<wire::FeedReply> call(const wire::FeedRequest& request) = 0;
  virtual Result<wire::ModelsReply> call(const wire::ModelsRequest& request) = 0;
  virtual Result<wire::EntriesReply> call(const wire::ChangedEntriesRequest& request) = 0;
  virtual Result<wire::EntriesReply> call(const wire::TagEntriesRequest& request) = 0;
  virtual Result<wire::AckReply> call(const wire::AckRequest& request) = 0;
  /// One body for each artefact of the reply's `found`.
  virtual Result<wire::FetchReply> call(const wire::FetchRequest& request, std::vector<std::string>& bodies) = 0;
};

}  // namespace espalier::shard
