#include "registry/search/fields.h"

#include <algorithm>

namespace espalier::registry::search {
namespace {

/// How many letters to change, add or leave out.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t before = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = before + (a[i] == b[j] ? 0 : 1);
      before = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, changed});
    }
  }
  return row[b.size()];
}

}  // namespace

FieldRef find_field(const Fields& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (!field.family && field.name == name) return {&field, {}};
    if (field.family && name.size() > field.name.size() + 1 && name.starts_with(field.name) &&
        name[field.name.size()] == '.') {
      return {&field, std::string(name.substr(field.name.size() + 1))};
    }
  }
  return {};
}

std::string nearest_field(const Fields& fields, std::string_view name) {
  constexpr std::size_t kLongest = 64;
  if (name.size() > kLongest) return {};
  std::string nearest;
  std::size_t best = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const Field& field : fields) {
    const std::size_t mark = field.family ? name.find_first_of("._-:") : std::string_view::npos;
    std::string candidate = field.name;
    if (mark != std::string_view::npos) candidate.append(".").append(name.substr(mark + 1));
    const std::size_t changes = distance(name, candidate);
    if (changes >= best) continue;
    best = changes;
    nearest = field.family && mark == std::string_view::npos ? candidate + ".NAME" : candidate;
  }
  return nearest;
}

}  // namespace espalier::registry::search
