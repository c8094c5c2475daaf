// Where a node lives: a pure function of (view, key), with test vectors in docs/placement.md for clients in any
// language.
//
// Two-level rendezvous hashing (Thaler and Ravishankar 1998; weights as in Schindelhauer and Schomaker 2005): a tenant
// has `spread` seats, each taken by one shard; a placement key gets `replicas` of those. Scores are -weight / ln(u),
// where u in (0,1) is made of a 64-bit XXH3 (seed 0); the highest win, equal ones go to the larger number made of the
// hash, then to the lower seat, then to the lower name. Shards compete for each seat by scores of its own, and keys
// choose seats, not shards: so a shard that comes or goes changes hardly more than one seat, and no other's keys. Where
// zones are said, the best of each zone come before the second best of any.
//
// A view gives two placements (docs/membership.md): the one in force, by which shards are asked, and the next one,
// which comes into force once the shards hold it.
//
// Thread safety: pure functions; Placement is immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cluster/view.h"
#include "model/ids.h"

namespace espalier::cluster {

/// in_force: what is asked now: all shards but those that are joining. next: what will be asked: the shards that serve
/// and those that are joining, with the settings that are to come.
enum class Phase { in_force, next };
/// A tenant's settings that are to come stand in View::tenants under its name and this, which no name can have.
inline constexpr std::string_view kNextSettings = "/next";

/// Of a tenant: a larger spread counts as this.
inline constexpr std::uint32_t kMostSeats = 4096;

/// Depth down to which nodes are held by all of the tenant's shards (default: all levels but the last).
/// `levels` is the number of levels below the root.
std::uint32_t replicated_until(std::uint32_t levels);

/// The tenant's shards as indices into view.shards, by seat. Empty only when the view has no shard of positive weight.
std::vector<std::uint32_t> tenant_shards(const View& view, std::string_view tenant);

/// The shards that hold the node and answer for it, best score first. A node no deeper than `replicated_until` is held
/// by all the tenant's shards (their order still depends on the key, so that load spreads); below that the owners are
/// those of the ancestor at depth replicated_until + 1, so that whoever answers for a node holds everything it can fall
/// back to.
std::vector<std::uint32_t> node_shards(const View& view, std::string_view tenant, std::string_view model,
                                       const model::Partition& partition, std::uint32_t replicated_until);

/// True when `shard` is among node_shards().
bool holds(const View& view, std::string_view shard, std::string_view tenant, std::string_view model,
           const model::Partition& partition, std::uint32_t replicated_until);

/// The same answers for many keys of one view: what depends on the view alone is worked out once. Made anew for each
/// view; shared by all threads. A request path keeps the TenantShards of the tenants it sees.
class Placement {
 public:
  /// What a tenant has of the cluster.
  struct TenantShards {
    std::string tenant;
    std::vector<std::uint32_t> shards;  ///< as tenant_shards()
    std::vector<std::uint32_t> seats;   ///< of each; some are free where the cluster has fewer shards
    std::uint32_t replicas = 0;         ///< owners of a leaf: at least 1, at most shards.size(); 0 without shards
    bool has_hot_nodes = false;         ///< some of its leaves have more
  };
  /// A shard that a key is scored for.
  struct Ranked {
    std::uint32_t shard = 0;
    double score = 0;
    std::uint32_t round = 0;  ///< so many of its zone score better
    bool is_chosen = false;
  };

  explicit Placement(const View& view, Phase phase = Phase::in_force);

  std::size_t shard_count() const { return shards_.size(); }
  /// Costs a hash for each seat and shard of the cluster.
  TenantShards tenant(std::string_view tenant) const;

  /// Writes node_shards() to `out`, at most out.size() of them, and returns how many. Costs one hash a shard of the
  /// tenant; allocates nothing once the calling thread has seen a key as long.
  std::size_t node_shards_into(const TenantShards& tenant, std::string_view model, const model::Partition& partition,
                               std::uint32_t replicated_until, std::span<std::uint32_t> out) const;
  /// The same for level values as they lie in a message; trailing empty ones don't count.
  std::size_t node_shards_into(const TenantShards& tenant, std::string_view model,
                               std::span<const std::string_view> values, std::uint32_t replicated_until,
                               std::span<std::uint32_t> out) const;
  /// Whether the shard of this index is among node_shards().
  bool holds(std::uint32_t shard, const TenantShards& tenant, std::string_view model, const model::Partition& partition,
             std::uint32_t replicated_until) const;

  /// Why: every shard that the tenant's key is scored for, in the order of choice; and those of the tenant for a node.
  std::vector<Ranked> rank_tenant(std::string_view tenant) const;
  std::vector<Ranked> rank_node(const TenantShards& tenant, std::string_view model, const model::Partition& partition,
                                std::uint32_t replicated_until) const;

 private:
  struct Shard {
    std::string component;  ///< its name as it follows a key
    double weight;
    std::uint32_t zone;  ///< a number for each that is said; a shard that says none is alone in its own
  };
  struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Score {
    double score;
    std::uint64_t number;  ///< upper 52 bits of the hash: number + 0.5 is exact in a double
  };
  /// A tenant's shard, by its place in TenantShards::shards, for a key.
  struct Candidate {
    Score score;
    std::uint32_t place;
  };
  /// A shard for a seat.
  struct Claim {
    Score score;
    std::uint32_t seat;
    std::uint32_t shard;
  };

  /// Of the key followed by `component`; appends to `key` and takes it back.
  Score score(std::string& key, const std::string& component, double weight) const;
  Candidate candidate(std::string& key, const TenantShards& tenant, std::uint32_t place) const;
  static bool goes_before(const Candidate& a, const Candidate& b);
  /// Every shard for every seat, best first.
  std::vector<Claim> claims(std::string_view tenant, std::uint32_t seats) const;
  /// Gives the seats to the best claims, each seat and each shard once; zones take turns.
  void take_seats(const std::vector<Claim>& claims, std::uint32_t seats, TenantShards& to) const;
  std::uint32_t seats_of(std::string_view tenant) const;
  /// The tenant's best out.size() shards for the key, best first; how many they are.
  std::size_t best_of(std::string& key, const TenantShards& tenant, std::span<std::uint32_t> out) const;
  /// The same where zones are said.
  std::size_t best_in_zones(std::string& key, const TenantShards& tenant, std::span<std::uint32_t> out) const;
  /// Says of each how many of its zone stand before it.
  void number_rounds(std::vector<Ranked>& ranked) const;
  /// How many shards hold what lies at `key`. REQUIRES: it isn't replicated.
  std::size_t owners_of(const TenantShards& tenant, const std::string& key) const;

  std::vector<Shard> shards_;
  std::vector<std::uint32_t> usable_;  ///< shards of this phase, of positive weight
  std::uint32_t zones_ = 0;
  bool equal_weights_ = true;
  bool has_zones_ = false;
  /// Replicas by key; 0: as the tenant's others.
  std::unordered_map<std::string, std::uint32_t, StringHash, std::equal_to<>> hot_nodes_;
  std::set<std::string, std::less<>> hot_tenants_;
  std::vector<std::string> seats_;  ///< each seat's number as it follows a key
  std::uint32_t default_spread_;
  std::uint32_t default_replicas_;
  std::map<std::string, TenantSettings, std::less<>> tenants_;
};

}  // namespace espalier::cluster
