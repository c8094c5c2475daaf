// Who changed what, and when: one record for each change, in the same batch as the change, never changed again but for
// an erased tenant's (docs/audit.md, tables J and j).
//
// Thread safety: as the Store.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/uuid.h"
#include "registry/store.h"
#include "wire/audit_messages.h"

namespace espalier::registry {

class KeyRecords;
class Releases;

/// What a change says of itself; before and after: JSON objects, or empty.
struct AuditNote {
  std::string subject, before, after;
};

class Audit {
 public:
  explicit Audit(Store& store) : store_(store) {}

  struct Change {
    std::string_view who, operation, tenant, model;
  };
  /// `keys`: what is known of `who`.
  Status put(Batch& batch, KeyRecords& keys, const Change& change, AuditNote note);

  /// One page of what was asked for, after at most so many steps: it may have fewer records than asked, and more follow
  /// as long as it has a cursor.
  Result<wire::AuditReply> page(const wire::AuditRequest& request, std::size_t most_steps);

  /// The release that the tag stands at; nil: none. What moved() said is not looked up again.
  Result<Uuid> release_of(Releases& releases, const std::string& tenant, const std::string& model,
                          const std::string& tag);
  void moved(const std::string& tenant, const std::string& model, const std::string& tag, const Uuid& release);
  /// What moved() said may not be so: a commit failed, or tags were moved in another way.
  void forget_tags() { tags_.clear(); }

  /// What an erased tenant leaves.
  static wire::AuditRecord blank(const wire::AuditRecord& record);

 private:
  struct Who {
    std::vector<std::string> roles, keys;
  };
  Result<const Who*> look_up(KeyRecords& keys, std::string_view who);
  Result<std::uint64_t> epoch_at(std::int64_t time_us);

  Store& store_;
  std::uint64_t keys_epoch_ = 0;  ///< whose_ is as of this change of keys
  std::map<std::string, Who, std::less<>> whose_;
  std::map<std::string, Uuid, std::less<>> tags_;
};

}  // namespace espalier::registry
