#include "trainer/profile.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "common/bytes.h"
#include "model/feature_program.h"

namespace espalier::trainer {
namespace {

void add_numbers(const data::Column& column, const std::vector<std::uint32_t>& rows, wire::ColumnProfile& profile) {
  for (const std::uint32_t row : rows) {
    const double number = column.numbers[row];
    if (std::isnan(number)) continue;
    profile.min = profile.count == 0 ? number : std::min(profile.min, number);
    profile.max = profile.count == 0 ? number : std::max(profile.max, number);
    ++profile.count;
    // Sums and differences of large numbers would not be finite.
    const auto count = static_cast<double>(profile.count);
    profile.mean += number / count - profile.mean / count;
  }
}

void add_texts(const data::Column& column, const std::vector<std::uint32_t>& rows, wire::ColumnProfile& profile) {
  std::unordered_map<std::string_view, std::uint64_t> counts;
  for (const std::uint32_t row : rows) {
    if (column.texts[row].empty()) continue;
    ++profile.count;
    ++counts[column.texts[row]];
  }
  profile.distinct = counts.size();
  std::vector<std::pair<std::uint64_t, std::string_view>> frequent;
  for (const auto& [text, count] : counts) {
    const bool is_plain = text.size() <= kLongestTopValue && is_utf8(text) && text.find('\0') == std::string_view::npos;
    if (count > 1 && is_plain) frequent.emplace_back(count, text);
  }
  const auto is_before = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  const std::size_t kept = std::min(frequent.size(), kTopValues);
  std::ranges::partial_sort(frequent, frequent.begin() + static_cast<std::ptrdiff_t>(kept), is_before);
  for (std::size_t i = 0; i < kept; ++i) profile.top.push_back({std::string(frequent[i].second), frequent[i].first});
  if (const auto dates = date_range(column, rows)) {
    profile.first = dates->first;
    profile.last = dates->second;
  }
}

Hash256 fingerprint_of(const Source& source, const std::vector<std::uint32_t>& rows) {
  if (rows.size() == source.frame.rows()) return source.fingerprint;
  Hasher256 hasher;
  hasher.update(source.fingerprint.view());
  hasher.update({reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(std::uint32_t)});
  return hasher.finish();
}

}  // namespace

std::optional<std::pair<std::string_view, std::string_view>> date_range(const data::Column& column,
                                                                        const std::vector<std::uint32_t>& rows) {
  constexpr std::size_t kYearAndMonth = 7;  ///< a year alone may be any number
  std::string_view first, last;
  for (const std::uint32_t row : rows) {
    const std::string_view text = column.texts[row];
    if (text.empty()) continue;
    if (text.size() < kYearAndMonth || std::isnan(model::date_part(text, model::DatePart::month))) return std::nullopt;
    if (first.empty() || text < first) first = text;
    if (last.empty() || text > last) last = text;
  }
  if (first.empty()) return std::nullopt;
  return std::pair(first, last);
}

wire::ColumnProfile profile_of(const data::Column& column, const std::vector<std::uint32_t>& rows) {
  wire::ColumnProfile profile;
  profile.name = column.field.name;
  profile.type = column.field.type;
  if (column.field.type == model::FieldType::number) {
    add_numbers(column, rows, profile);
  } else {
    add_texts(column, rows, profile);
  }
  profile.missing = rows.size() - profile.count;
  return profile;
}

wire::DatasetRecord dataset_of(const SourceOptions& options, const Source& source, const TenantRows& tenant) {
  wire::DatasetRecord dataset;
  dataset.dataset = fingerprint_of(source, tenant.rows);
  dataset.tenant = tenant.tenant;
  dataset.source = file_name(source.path);
  dataset.where = options.where;
  dataset.file = source.fingerprint;
  dataset.rows = tenant.rows.size();
  for (const data::Column& column : source.frame.columns()) {
    dataset.columns.push_back(profile_of(column, tenant.rows));
    const wire::ColumnProfile& profile = dataset.columns.back();
    if (profile.first.empty() || !dataset.first.empty()) continue;
    dataset.first = profile.first;
    dataset.last = profile.last;
  }
  return dataset;
}

std::string file_name(const std::string& path) {
  const std::string name = path.substr(path.find_last_of('/') + 1);
  return is_utf8(name) ? name : to_hex(name);
}

}  // namespace espalier::trainer
