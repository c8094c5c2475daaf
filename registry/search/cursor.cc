#include "registry/search/cursor.h"

#include "common/bytes.h"
#include "common/hash.h"

namespace espalier::registry::search {
namespace {

void write(std::string& to, std::string_view text) {
  append(to, static_cast<std::uint32_t>(text.size()));
  to.append(text);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  template <class T>
  bool read(T& number) {
    if (left_.size() < sizeof number) return false;
    number = load<T>(left_.data());
    left_.remove_prefix(sizeof number);
    return true;
  }
  bool read(std::string& text) {
    std::uint32_t size = 0;
    if (!read<std::uint32_t>(size) || left_.size() < size) return false;
    text = left_.substr(0, size);
    left_.remove_prefix(size);
    return true;
  }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
};

}  // namespace

std::string SearchCursor::text() const {
  std::string body;
  append(body, query);
  append(body, generation);
  append(body, epoch);
  append(body, way);
  append(body, phase);
  for (const std::string* text : {&tenant, &model, &order_key, &tail, &bound, &bound_order_key}) write(body, *text);
  append(body, limit);
  append(body, static_cast<std::uint32_t>(kept.size()));
  for (const auto& [order, thing] : kept) {
    for (const std::string* text : {&order, &thing.tenant, &thing.model, &thing.place, &thing.order_key}) {
      write(body, *text);
    }
  }
  std::string bytes;
  append(bytes, xxh3_64(body));
  return bytes.append(body);
}

Result<SearchCursor> SearchCursor::parse(std::string_view text) {
  const Status wrong = invalid_argument("cursor: not one that a search gave");
  SearchCursor cursor;
  Reader reader(text);
  std::uint64_t sum = 0;
  if (!reader.read(sum) || sum != xxh3_64(text.substr(sizeof sum))) return wrong;
  std::uint32_t count = 0;
  if (!reader.read(cursor.query) || !reader.read(cursor.generation) || !reader.read(cursor.epoch) ||
      !reader.read(cursor.way) || !reader.read(cursor.phase) || !reader.read(cursor.tenant) ||
      !reader.read(cursor.model) || !reader.read(cursor.order_key) || !reader.read(cursor.tail) ||
      !reader.read(cursor.bound) || !reader.read(cursor.bound_order_key) || !reader.read(cursor.limit) ||
      !reader.read(count)) {
    return wrong;
  }
  for (; count > 0; --count) {
    std::string order;
    Kept thing;
    if (!reader.read(order) || !reader.read(thing.tenant) || !reader.read(thing.model) || !reader.read(thing.place) ||
        !reader.read(thing.order_key)) {
      return wrong;
    }
    cursor.kept.emplace(std::move(order), std::move(thing));
  }
  if (!reader.at_end() || cursor.limit == 0) return wrong;
  return cursor;
}

}  // namespace espalier::registry::search
