// Candidates from ranges of keys: what the kinds' sources are made of.
//
// Thread safety: one thread. Ownership: borrow the store or the context. Errors: the store's; corrupt for keys that
// don't parse.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "registry/search/kind.h"
#include "registry/store.h"

namespace espalier::registry::search {

/// The records with begin <= key < end, forwards or backwards.
class Range {
 public:
  static Result<Range> open(Store& store, std::string begin, std::string end, bool backwards);
  bool valid() const;
  std::string_view key() const { return cursor_->key(); }
  std::string_view value() const { return cursor_->value(); }
  void next() { backwards_ ? cursor_->previous() : cursor_->next(); }
  /// To the first record at or behind `key`. REQUIRES: forwards.
  void skip_to(const std::string& key) { cursor_->seek(key); }
  Status status() const { return cursor_->status(); }

 private:
  std::unique_ptr<Cursor> cursor_;
  std::string begin_, end_;
  bool backwards_ = false;
};

/// Moves the end of [begin, end) at which reading starts, for keys that are `prefix` + tail.
void begin_at(const Start& start, std::string_view prefix, bool backwards, std::string& begin, std::string& end);

/// Table V of a model: by partition, then newest first; records come with it.
Result<std::unique_ptr<Source>> versions_by_partition(const Context& context, const ModelName& model, const Path& path,
                                                      const Start& start);
/// Index `n`.
Result<std::unique_ptr<Source>> versions_by_number(const Context& context, const ModelName& model, const Path& path,
                                                   const Start& start);
/// Index `e`: by commit; of an attribute or a release, those commits only.
Result<std::unique_ptr<Source>> versions_by_commit(const Context& context, const ModelName& model, const Path& path,
                                                   const Start& start);
Result<std::unique_ptr<Source>> versions_by_uuid(const Context& context, const ModelName& model, const Path& path,
                                                 const Start& start);
/// What a tag says, node by node.
Result<std::unique_ptr<Source>> versions_by_tag(const Context& context, const ModelName& model, const Path& path,
                                                const Start& start);

/// Records that stand as ~epoch and a UUID behind `prefix`, between two epochs; they come with it.
Result<std::unique_ptr<Source>> records_by_commit(const Context& context, const std::string& prefix, const Path& path,
                                                  const Start& start);
/// Table R of a model, between two epochs.
Result<std::unique_ptr<Source>> releases_by_commit(const Context& context, const ModelName& model, const Path& path,
                                                   const Start& start);
Result<std::unique_ptr<Source>> releases_by_attribute(const Context& context, const ModelName& model, const Path& path,
                                                      const Start& start);
Result<std::unique_ptr<Source>> releases_by_uuid(const Context& context, const ModelName& model, const Path& path,
                                                 const Start& start);

/// Table U of a model.
Result<std::unique_ptr<Source>> runs_by_uuid(const Context& context, const ModelName& model, const Path& path,
                                             const Start& start);
/// Table Y. Those that are running have no entry for how it ended: they are found by the mark that they run, or by when
/// they ended, if that is after the context's epoch.
Result<std::unique_ptr<Source>> runs_by_attribute(const Context& context, const ModelName& model, const Path& path,
                                                  const Start& start);
Result<std::unique_ptr<Source>> runs_by_number(const Context& context, const ModelName& model, const Path& path,
                                               const Start& start);
/// Whether those that run as of the epoch can be told in few steps.
Result<bool> are_few_running(const Context& context, const ModelName& model);

/// Table N of a tenant.
Result<std::unique_ptr<Source>> datasets_by_fingerprint(const Context& context, const ModelName& tenant,
                                                        const Start& start);
/// Table Y: by commit, or by an attribute.
Result<std::unique_ptr<Source>> datasets_by_entry(const Context& context, const ModelName& tenant, const Path& path,
                                                  const Start& start);

/// The partitions that have versions: of each the newest record as of the epoch comes with it.
Result<std::unique_ptr<Source>> nodes_by_partition(const Context& context, const ModelName& model, const Path& path,
                                                   const Start& start);
/// One candidate.
std::unique_ptr<Source> only_one(const Start& start);

}  // namespace espalier::registry::search
