#include "model/ids.h"

#include <cassert>

#include "common/bytes.h"

namespace espalier::model {
namespace {

constexpr char kComponentEnd[] = {'\x00', '\x01'};
constexpr char kEscapedZero[] = {'\0', '\xFF'};
constexpr std::size_t kQuotedBytes = 80;  // of wrong input shown in a message

bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7F; }

void append_escaped(std::string& to, std::string_view value) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '/' || c == '@' || c == '%' || c == ',' || is_control(byte)) {
      to.push_back('%');
      to.push_back(kDigits[byte >> 4]);
      to.push_back(kDigits[byte & 15]);
    } else {
      to.push_back(c);
    }
  }
}

/// Wrong input as it may stand in a message: escaped, UTF-8, of bounded length.
std::string quoted(std::string_view text) {
  std::string_view shown = text.substr(0, kQuotedBytes);
  std::string out = "\"";
  if (is_utf8(text)) {
    while (!is_utf8(shown)) shown.remove_suffix(1);
    for (const char c : shown) out.push_back(is_control(static_cast<unsigned char>(c)) ? '?' : c);
  } else {
    for (const char c : shown) out.push_back(c >= 0x20 && c < 0x7F ? c : '?');
  }
  out += shown.size() < text.size() ? "...\"" : "\"";
  return out;
}

std::string value_place(std::size_t position) { return "partition: value " + std::to_string(position + 1); }

Result<std::string> unescape(std::string_view component, std::size_t position) {
  std::string value;
  value.reserve(component.size());
  for (std::size_t i = 0; i < component.size(); ++i) {
    const char c = component[i];
    if (c == '@' || c == ',' || is_control(static_cast<unsigned char>(c))) {
      return invalid_argument(value_place(position) + ", byte " + std::to_string(i + 1) +
                              ": @ , and control characters are written %40, %2C, %0A and so on");
    }
    if (c != '%') {
      value.push_back(c);
      continue;
    }
    const auto byte = from_hex(component.substr(i + 1, 2));
    if (!byte || byte->size() != 1) {
      return invalid_argument(value_place(position) + ", byte " + std::to_string(i + 1) +
                              ": % must be followed by two hexadecimal digits");
    }
    value += *byte;
    i += 2;
  }
  return value;
}

Status check_value(std::string_view value, std::size_t position) {
  if (value.size() > kMaxLevelValueBytes) {
    return invalid_argument(value_place(position) + ": " + std::to_string(value.size()) + " bytes, at most " +
                            std::to_string(kMaxLevelValueBytes) + " are allowed");
  }
  if (!is_utf8(value)) return invalid_argument(value_place(position) + ": not UTF-8");
  return {};
}

Status too_many_values(std::size_t count) {
  return invalid_argument("partition: " + std::to_string(count) + " values, at most " + std::to_string(kMaxLevels) +
                          " levels are allowed");
}

}  // namespace

Status check_name(std::string_view what, std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool good = !name.empty() && name.size() <= kMaxNameBytes && alphanumeric(name[0]);
  for (const char c : name) good = good && (alphanumeric(c) || c == '_' || c == '.' || c == '-');
  if (good) return {};
  return invalid_argument(std::string(what) + " " + quoted(name) +
                          ": a name has 1 to 64 of the characters a-z 0-9 _ . - and starts with a letter or digit");
}

Result<Partition> Partition::from_values(std::span<const std::string_view> values) {
  while (!values.empty() && values.back().empty()) values = values.first(values.size() - 1);
  if (values.size() > kMaxLevels) return too_many_values(values.size());
  Partition partition;
  partition.values_.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    RETURN_IF_ERROR(check_value(values[i], i));
    partition.values_.emplace_back(values[i]);
  }
  return partition;
}

Result<Partition> Partition::from_values(const std::vector<std::string>& values) {
  const std::vector<std::string_view> views(values.begin(), values.end());
  return from_values(std::span<const std::string_view>(views));
}

Result<Partition> Partition::parse(std::string_view text) {
  Partition partition;
  if (text.empty()) return partition;
  for (std::size_t position = 0;; ++position) {
    const std::size_t slash = text.find('/');
    ASSIGN_OR_RETURN(std::string value, unescape(text.substr(0, slash), position));
    RETURN_IF_ERROR(check_value(value, position));
    // Trailing empty values are dropped, so only a value that stays counts against the limit.
    if (position >= kMaxLevels && !value.empty()) return too_many_values(position + 1);
    if (position < kMaxLevels) partition.values_.push_back(std::move(value));
    if (slash == std::string_view::npos) break;
    text.remove_prefix(slash + 1);
  }
  while (!partition.values_.empty() && partition.values_.back().empty()) partition.values_.pop_back();
  return partition;
}

Partition Partition::ancestor(std::size_t depth) const {
  assert(depth <= values_.size());
  Partition result;
  result.values_.assign(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(depth));
  return result;
}

std::string Partition::text() const {
  std::string text;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (i > 0) text.push_back('/');
    append_escaped(text, values_[i]);
  }
  return text;
}

void append_component(std::string& key, std::string_view component) {
  for (;;) {
    const std::size_t zero = component.find('\0');
    key.append(component.substr(0, zero));
    if (zero == std::string_view::npos) break;
    key.append(kEscapedZero, sizeof kEscapedZero);
    component.remove_prefix(zero + 1);
  }
  key.append(kComponentEnd, sizeof kComponentEnd);
}

std::string model_key(std::string_view tenant, std::string_view model) {
  std::string key;
  append_component(key, tenant);
  append_component(key, model);
  return key;
}

std::string node_key(std::string_view tenant, std::string_view model, const Partition& partition) {
  std::string key = model_key(tenant, model);
  for (const std::string& value : partition.values()) append_component(key, value);
  return key;
}

Result<std::vector<std::string>> split_components(std::string_view key) {
  std::vector<std::string> components;
  std::string component;
  bool open = false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    open = true;
    if (key[i] != '\0') {
      component.push_back(key[i]);
      continue;
    }
    const char mark = i + 1 < key.size() ? key[i + 1] : '\x02';
    if (mark == '\xFF') {
      component.push_back('\0');
    } else if (mark == '\x01') {
      components.push_back(std::move(component));
      component.clear();
      open = false;
    } else {
      return corrupt("key: byte " + std::to_string(i) + ": 00 is followed by neither 01 nor FF");
    }
    ++i;
  }
  if (open) return corrupt("key: the last component has no end mark");
  return components;
}

Result<NodeName> NodeName::parse(std::string_view text) {
  NodeName name;
  const std::size_t at = text.find('@');
  const std::string_view names = text.substr(0, at);
  const std::size_t slash = names.find('/');
  if (slash == std::string_view::npos) {
    return invalid_argument("node " + quoted(text) + ": expected TENANT/MODEL or TENANT/MODEL@PARTITION");
  }
  name.tenant = names.substr(0, slash);
  name.model = names.substr(slash + 1);
  RETURN_IF_ERROR(check_name("tenant", name.tenant));
  RETURN_IF_ERROR(check_name("model", name.model));
  if (at != std::string_view::npos) {
    ASSIGN_OR_RETURN(name.partition, Partition::parse(text.substr(at + 1)));
  }
  return name;
}

std::string NodeName::text() const {
  std::string text = tenant + "/" + model;
  if (!partition.is_root()) text += "@" + partition.text();
  return text;
}

}  // namespace espalier::model
