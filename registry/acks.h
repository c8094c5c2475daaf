// Which shard answers from which epoch, and what failed there. Kept in memory: after a start each shard's next
// acknowledgement fills it again.
//
// Thread safety: one thread owns it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/view.h"
#include "wire/messages.h"

namespace espalier::registry {

class Acks {
 public:
  /// Takes the shard's word that it answers from `epoch` on. An older epoch than it has acknowledged is passed over.
  void take(const std::string& shard, std::uint64_t epoch, std::vector<wire::AckFailure> failed);
  void forget(const std::string& shard);
  /// Whose acknowledgement counts: of the shards that are there to be asked (serving, draining), or of all.
  enum class Of { asked, all };
  /// Who of the view's shards has acknowledged `epoch` or a later one. A view without such shards serves nothing.
  /// Failures are those that a shard named with the first epoch it acknowledged at or after this one.
  wire::WaitReply state(const cluster::View& view, std::uint64_t epoch, Of of = Of::asked) const;
  /// The newest epoch that the shard answers from; 0: it has said nothing yet.
  std::uint64_t newest(const std::string& shard) const;
  /// It named something with that epoch that it could not take in for a reason of its own, such as a full disk:
  /// anything but an artefact that is missing, damaged or doesn't fit its model.
  bool is_lacking(const std::string& shard) const;
  /// The newest epoch that all of the view's shards that are asked answer from; 0: there is none.
  std::uint64_t all_have(const cluster::View& view) const;

 private:
  static constexpr std::size_t kKept = 256;  ///< acknowledgements of a shard
  std::map<std::string, std::map<std::uint64_t, std::vector<wire::AckFailure>>> shards_;
};

}  // namespace espalier::registry
