// How two states of tags differ, and what a node had before.
#include <algorithm>
#include <utility>

#include "registry/keys.h"
#include "registry/tag_nodes.h"
#include "registry/tags.h"

namespace espalier::registry {
namespace {

/// A scan under way: how many nodes were looked at, and the last of them.
class Progress {
 public:
  explicit Progress(const DifferenceScan& scan) : most_steps_(scan.most_steps), last_(scan.after) {}
  bool may_go_on() const { return steps_ < most_steps_; }
  void looked_at(const std::string& components) {
    ++steps_;
    last_ = components;
  }
  /// Where the scan goes on behind.
  const std::optional<std::string>& last() const { return last_; }

 private:
  const std::size_t most_steps_;
  std::size_t steps_ = 0;
  std::optional<std::string> last_;
};

/// Two states of one tag: a node whose newest entry is older than both has not changed, and that entry isn't read.
Result<std::optional<std::string>> compare_epochs(TagNodes nodes, std::uint64_t older, std::uint64_t newer,
                                                  bool newer_is_after, const DifferenceScan& scan,
                                                  const Tags::TakeDifference& take) {
  Progress progress(scan);
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, nodes.find(newer));
    if (!found) return std::optional<std::string>();
    if (!progress.may_go_on()) return progress.last();
    const std::string components = nodes.components();
    if (nodes.epoch() > older) {
      ASSIGN_OR_RETURN(const wire::TagEntry is, nodes.entry());
      wire::TagEntry was = unset_entry();
      ASSIGN_OR_RETURN(const bool had, nodes.go_back(older));
      if (had) {
        ASSIGN_OR_RETURN(was, nodes.entry());
      }
      const auto& before = newer_is_after ? was : is;
      const auto& after = newer_is_after ? is : was;
      if (!is_same(was, is) && !take(components, before, after)) return progress.last();
    }
    nodes.pass_over();
    progress.looked_at(components);
  }
}

/// Two tags, side by side.
Result<std::optional<std::string>> compare_tags(TagNodes before, std::uint64_t before_epoch, TagNodes after,
                                                std::uint64_t after_epoch, const DifferenceScan& scan,
                                                const Tags::TakeDifference& take) {
  Progress progress(scan);
  ASSIGN_OR_RETURN(bool has_before, before.find(before_epoch));
  ASSIGN_OR_RETURN(bool has_after, after.find(after_epoch));
  while (has_before || has_after) {
    if (!progress.may_go_on()) return progress.last();
    const bool is_in_before = has_before && (!has_after || before.components() <= after.components());
    const bool is_in_after = has_after && (!has_before || after.components() <= before.components());
    const std::string components = is_in_before ? before.components() : after.components();
    wire::TagEntry was = unset_entry(), is = unset_entry();
    if (is_in_before) {
      ASSIGN_OR_RETURN(was, before.entry());
    }
    if (is_in_after) {
      ASSIGN_OR_RETURN(is, after.entry());
    }
    if (!is_same(was, is) && !take(components, was, is)) return progress.last();
    progress.looked_at(components);
    if (is_in_before) {
      before.pass_over();
      ASSIGN_OR_RETURN(has_before, before.find(before_epoch));
    }
    if (is_in_after) {
      after.pass_over();
      ASSIGN_OR_RETURN(has_after, after.find(after_epoch));
    }
  }
  return std::optional<std::string>();
}

}  // namespace

Result<std::optional<std::string>> Tags::each_difference(const TagState& before, const TagState& after,
                                                         const DifferenceScan& scan, const TakeDifference& take) {
  ASSIGN_OR_RETURN(TagNodes of_before, TagNodes::open(store_, before.prefix, scan.under, scan.after));
  if (before.prefix == after.prefix) {
    return compare_epochs(std::move(of_before), std::min(before.epoch, after.epoch),
                          std::max(before.epoch, after.epoch), before.epoch <= after.epoch, scan, take);
  }
  ASSIGN_OR_RETURN(TagNodes of_after, TagNodes::open(store_, after.prefix, scan.under, scan.after));
  return compare_tags(std::move(of_before), before.epoch, std::move(of_after), after.epoch, scan, take);
}

Result<Replaced> Tags::replaced_by(Cursor& cursor, std::string_view tag_prefix, std::string_view components,
                                   std::uint64_t epoch, const VersionSince& version) {
  Replaced entries{unset_entry(), unset_entry()};
  const std::string node = keys::node(tag_prefix, components);
  bool is_first = true, is_next_before = false;
  for (cursor.seek(keys::node_at(tag_prefix, components, epoch)); cursor.valid() && cursor.key().starts_with(node);
       cursor.next()) {
    ASSIGN_OR_RETURN(const keys::TagKey key, keys::parse_tag(cursor.key(), tag_prefix.size()));
    // What is older than the version can't be an entry of it any more.
    if (key.epoch < version.since && !is_next_before && !is_first) break;
    auto entry = decode_entry(cursor.value());
    if (!entry.ok()) return bad_record(cursor.key(), entry.status());
    if (std::exchange(is_first, false)) entries.is = *entry;
    if (entry->kind == wire::EntryKind::version && entry->version == version.version) {
      entries.before = unset_entry();
      is_next_before = true;
    } else if (std::exchange(is_next_before, false)) {
      entries.before = *std::move(entry);
    }
  }
  RETURN_IF_ERROR(cursor.status());
  return entries;
}

}  // namespace espalier::registry
