// Which shard answers from which epoch, and what failed there. Kept in memory: after a start each shard's next
// acknowledgement fills it again.
//
// Thread safety: one thread owns it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/view.h"
#include "wire/messages.h"

namespace espalier::registry {

class Acks {
 public:
  /// Takes the shard's word that it answers from its epoch on. An older epoch than it has acknowledged is passed over.
  /// What another process of its name said is forgotten. True: it begins to hold what it can't save.
  bool take(const wire::AckRequest& ack);
  void forget(const std::string& shard);
  /// Keeps what this process said, or one that didn't say which it is.
  void forget_others(const std::string& shard, const Uuid& process);
  /// Whose acknowledgement counts: of the shards that are there to be asked (serving, draining), or of all.
  enum class Of { asked, all };
  /// Who of the view's shards has acknowledged `epoch` or a later one. A view without such shards serves nothing.
  /// Failures are those that a shard named with the first epoch it acknowledged at or after this one.
  wire::WaitReply state(const cluster::View& view, std::uint64_t epoch, Of of = Of::asked) const;
  /// The newest epoch that the shard answers from; 0: it has said nothing yet.
  std::uint64_t newest(const std::string& shard) const;
  /// The same, also where its disk lacks what went out of service.
  std::uint64_t newest_held(const std::string& shard) const;
  /// It named something with that epoch that it could not take in for a reason of its own, such as a full disk:
  /// anything but an artefact that is missing, damaged or doesn't fit its model. Or it can't save what it holds.
  bool is_lacking(const std::string& shard) const;
  /// The newest epoch that all of the view's shards that are asked answer from; 0: there is none.
  std::uint64_t all_have(const cluster::View& view) const;

 private:
  static constexpr std::size_t kKept = 256;  ///< acknowledgements of a shard
  struct Said {
    Uuid process;  ///< that said it
    std::map<std::uint64_t, std::vector<wire::AckFailure>> epochs;
    std::uint64_t held = 0;  ///< more than it has acknowledged: that can't be saved
    std::uint64_t newest() const { return epochs.empty() ? 0 : epochs.rbegin()->first; }
    std::uint64_t newest_held() const { return std::max(held, newest()); }
  };
  const Said* said(const std::string& shard) const;

  std::map<std::string, Said> shards_;
};

}  // namespace espalier::registry
