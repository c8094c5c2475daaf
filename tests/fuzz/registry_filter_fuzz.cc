// Filters, orders and cursors of any bytes: read or refused with a message, and a filter that was read can be asked.
#include <cstdlib>
#include <string_view>

#include "registry/search/cursor.h"
#include "registry/search/filter.h"
#include "registry/search/kinds.h"
#include "tests/support/fuzz_driver.h"

namespace {

using namespace espalier::registry::search;

/// Every version's field, of values that depend on the name.
Fields fields() {
  Fields all = versions_kind().fields();
  for (Field& field : all) {
    field.read = [](const Item&, std::string_view member) -> espalier::Result<Value> {
      if (member.size() % 3 == 0) return Value();
      if (member.size() % 3 == 1) return Value(1.5);
      return Value("text");
    };
  }
  return all;
}

bool target(std::string_view input) {
  static const Fields all = fields();
  const auto filter = Filter::parse(input, all);
  if (filter.ok()) {
    const Item item;
    if (!filter->matches(item).ok()) std::abort();
    if (filter->conjuncts().size() > kMaxTests) std::abort();
  } else if (filter.status().message().size() > kMaxFilterBytes + 1000) {
    std::abort();
  }
  const auto order = parse_order(input, all);
  if (order.ok() && order->size() > kMaxOrderFields) std::abort();
  const auto cursor = SearchCursor::parse(input);
  if (cursor.ok() && cursor->text() != input) std::abort();
  const std::size_t half = input.size() / 2;
  is_like(input.substr(0, half), input.substr(half));
  return filter.ok() && input.size() > 8;
}

}  // namespace

int main() {
  SearchCursor cursor;
  cursor.epoch = 7;
  cursor.tenant = "acme";
  cursor.kept["order"] = {"acme", "total", "place", "key"};
  return espalier::testing::run_fuzzer(
      {"metrics.rmse < 85 and partition under 'br' and created > '2026-11-01 12:00'",
       "not (rows >= 1.5e3 or principal in ('x', 'y''z')) and tag = 'production'",
       "\"metrics.top-5\" is not missing or principal not like 'a%_\\%'", "metrics.rmse desc, created",
       "version = '019a9d3c-4be0-7000-8000-000000000000'", cursor.text()},
      target);
}
