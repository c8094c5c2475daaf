// Counts of many names as few series: those that grow most have a series of their own, the others one together.
//
// Every series only grows while it is there, and all together always make the sum of what was counted: what a name had
// counted before it got its own series stays with the others, and what its series had goes there when it loses it. A
// name loses its series only to one that grows more than twice as fast. Names are forgotten with what is counted for
// them no more; what they had stays with the others.
//
// Thread safety: none; one scrape at a time. Ownership: keeps names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace espalier::metrics {

class TopSeries {
 public:
  /// Counts of one name, of as many kinds for all.
  using Counts = std::vector<std::uint64_t>;
  /// Of the others together. No tenant or model has such a name.
  static constexpr const char* kOthers = "_others";

  explicit TopSeries(std::size_t most) : most_(most) {}

  /// `totals`: what has been counted so far, which never shrinks for a name that stays; kOthers among them are some
  /// that have no name. visit(name, counts) for each series, the others' last.
  void update(const std::map<std::string, Counts>& totals,
              const std::function<void(const std::string&, const Counts&)>& visit);

 private:
  struct Series {
    Counts before;             ///< what was counted for it elsewhere: among the others
    std::uint64_t growth = 0;  ///< since the last look
  };

  void choose(const std::map<std::string, Counts>& totals);

  const std::size_t most_;
  std::map<std::string, Series> named_;
  std::map<std::string, Counts> seen_;  ///< at the last look
  Counts gone_;                         ///< of names that are counted no more
};

}  // namespace espalier::metrics
