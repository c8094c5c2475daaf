#include "registry/reading.h"

#include "common/bytes.h"
#include "registry/keys.h"

namespace espalier::registry {

std::string PageCursor::text() const {
  std::string text;
  append_u64_be(text, epoch);
  return text.append(position);
}

Result<PageCursor> PageCursor::parse(std::string_view text) {
  if (text.empty()) return PageCursor{};
  if (text.size() < 8) return invalid_argument("cursor: not one that a reply gave");
  PageCursor cursor{load_u64_be(text.data()), std::string(text.substr(8))};
  if (cursor.epoch == 0) return invalid_argument("cursor: not one that a reply gave");
  return cursor;
}

Result<std::optional<Dated>> newest_as_of(Store& store, std::string_view prefix, std::uint64_t epoch) {
  std::string key(prefix);
  append_u64_be(key, ~epoch);
  ASSIGN_OR_RETURN(const auto cursor, store.scan());
  cursor->seek(key);
  RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(prefix)) return std::optional<Dated>();
  ASSIGN_OR_RETURN(const std::uint64_t found, keys::newest_first_epoch(cursor->key()));
  return std::optional<Dated>(Dated{found, std::string(cursor->value())});
}

Status bad_record(std::string_view key, const Status& why) {
  return corrupt("a record of table " + std::string(key.substr(0, 1)) + " does not decode: " + why.message());
}

}  // namespace espalier::registry
