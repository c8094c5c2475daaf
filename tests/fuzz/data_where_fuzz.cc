// Filters of any bytes: parsed or refused with a message, and what was parsed can be run.
#include <cstdlib>
#include <limits>
#include <string_view>

#include "data/where.h"
#include "tests/support/fuzz_driver.h"

namespace {

bool target(std::string_view input) {
  using namespace espalier;
  const Result<data::Where> where = data::Where::parse(input);
  if (!where.ok()) return false;
  data::Frame frame(where->fields());
  for (data::Column& column : frame.columns()) {
    if (column.field.type == model::FieldType::number) {
      column.numbers = {1, std::numeric_limits<double>::quiet_NaN()};
    } else {
      column.texts = {"a", ""};
    }
  }
  frame.end_row(2);
  frame.end_row(3);
  if (data::BoundWhere(*where, frame).rows().size() > 2) std::abort();
  return true;
}

}  // namespace

int main() {
  return espalier::testing::run_fuzzer(
      {"split = train and domain != 'oos'", "not (age >= 1.5e3 or \"a b\" in (x, 'y''z'))", "a not in (1, -2)"},
      target);
}
