// A registry in memory, as a shard sees it: models, tags with all their entries, the feed, artefacts. Any call can be
// made to fail.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/view.h"
#include "shard/upstream.h"

namespace espalier::shard {

class FakeRegistry final : public Upstream {
 public:
  struct Entry {
    std::string partition;  ///< text form
    wire::EntryKind kind = wire::EntryKind::version;
    unsigned version = 0;  ///< number of its UUID
    double bias = 0;       ///< of its artefact
  };

  FakeRegistry();

  /// A release of acme/total's tag (or of another tenant's model of that name); its epoch.
  std::uint64_t release(const std::vector<Entry>& entries, const std::string& tag = "production",
                        const std::string& tenant = "acme");
  /// Lets acme's `tag` stand on another; an empty `on`: on its own.
  std::uint64_t overlay(const std::string& tag, const std::string& on);
  /// acme's version of that number goes into quarantine, or out of it.
  std::uint64_t quarantine(unsigned version, bool lift = false);
  /// The last change, a release, moved these entries of another tag too.
  void also(const std::vector<Entry>& entries, const std::string& tag);
  /// The tenant is no more; what its changes said is blanked. Its epoch.
  std::uint64_t erase(const std::string& tenant);
  std::uint64_t epoch() const { return epoch_; }
  /// `of_last`: where the last of them stands.
  void set_shards(const std::vector<std::string>& names, cluster::ShardState of_last = cluster::ShardState::serving);
  /// The artefact of this bias is gone, or sent with a flipped bit.
  void lose(double bias);
  void damage(double bias);
  void mend(double bias);
  /// As after a restore: epochs begin anew, only the newest state is kept.
  void begin_generation(std::uint64_t generation);
  /// The feed leaves the change of this epoch out.
  void skip_change(std::uint64_t epoch) { skipped_.insert(epoch); }

  Result<wire::HelloReply> call(const wire::HelloRequest&) override;
  Result<wire::EpochReply> call(const wire::JoinRequest&) override;
  Result<wire::RenewReply> call(const wire::RenewRequest&) override;
  Result<wire::ViewReply> call(const wire::ViewRequest&) override;
  Result<wire::FeedReply> call(const wire::FeedRequest&) override;
  Result<wire::ModelsReply> call(const wire::ModelsRequest&) override;
  Result<wire::EntriesReply> call(const wire::ChangedEntriesRequest&) override;
  Result<wire::EntriesReply> call(const wire::TagEntriesRequest&) override;
  Result<wire::AckReply> call(const wire::AckRequest&) override;
  Result<wire::FetchReply> call(const wire::FetchRequest&, std::vector<std::string>& bodies) override;

  /// The call after so many more is `unavailable`.
  void fail_call(int after) { calls_until_failure_ = after; }

  bool is_away = false;
  std::function<void()> before_fetch;  ///< called at each fetch, before its reply is made
  std::size_t artefacts_per_fetch = 1000;
  Code ack_code = Code::ok;   ///< of the next acknowledgement
  Code join_code = Code::ok;  ///< of the next joining
  std::vector<wire::AckRequest> acks;
  std::vector<std::string> levels = {"country", "state", "town"};  ///< of every model
  bool was_drained = false;                                        ///< whoever renews is told
  int joins = 0;
  int views = 0;  ///< how often one was asked for
  int fetches = 0;
  int snapshots = 0;  ///< pages of all models

 private:
  struct Set {
    std::string tenant, tag;
    wire::TagEntry entry;
  };

  std::uint64_t add_change(wire::Change change);
  wire::TagEntry entry_of(const Entry& from, const Uuid& release);
  Status here();

  int calls_until_failure_ = -1;
  std::uint64_t generation_ = 1;
  std::uint64_t epoch_ = 0;
  unsigned next_release_ = 1000;
  cluster::View view_;
  std::map<std::string, std::set<std::string>> tags_;  ///< by tenant
  std::vector<wire::Overlay> overlays_;                ///< acme's
  std::set<Uuid> quarantined_;                         ///< acme's
  std::vector<wire::Change> changes_;
  std::map<std::uint64_t, std::vector<Set>> entries_;  ///< by epoch
  std::map<Hash256, std::string> artefacts_;
  std::map<Hash256, std::string> kept_;  ///< as they were made
  std::set<std::uint64_t> skipped_;
};

}  // namespace espalier::shard
