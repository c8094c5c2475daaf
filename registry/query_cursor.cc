#include "registry/query_cursor.h"

#include "common/bytes.h"

namespace espalier::registry {

std::string QueryCursor::text() const {
  std::string text;
  append_u64_be(text, query);
  append_u64_be(text, generation);
  append_u64_be(text, epoch);
  return text.append(position);
}

Result<QueryCursor> QueryCursor::parse(std::string_view text, std::uint64_t query, std::uint64_t generation) {
  if (text.empty()) return QueryCursor{query, generation, 0, {}};
  constexpr std::size_t kHead = 24;
  if (text.size() <= kHead) return invalid_argument("cursor: not one that a reply gave");
  QueryCursor cursor{load_u64_be(text.data()), load_u64_be(text.data() + 8), load_u64_be(text.data() + 16),
                     std::string(text.substr(kHead))};
  if (cursor.query != query) return invalid_argument("cursor: of another request");
  if (cursor.generation != generation) {
    return failed_precondition("cursor: of generation " + std::to_string(cursor.generation) + ", this is generation " +
                               std::to_string(generation) + ": read anew");
  }
  if (cursor.epoch == 0) return invalid_argument("cursor: not one that a reply gave");
  return cursor;
}

}  // namespace espalier::registry
