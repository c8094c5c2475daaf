#include "model/properties.h"

#include <algorithm>

#include "common/bytes.h"

namespace espalier::model {
namespace {

bool is_control_character(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

std::string too_long(std::size_t bytes, std::size_t most) {
  return std::to_string(bytes) + " bytes, at most " + std::to_string(most) + " are allowed";
}

Status check_key(const std::string& key) {
  if (key.empty()) return invalid_argument("properties: a key is empty");
  if (key.size() > kMaxPropertyKeyBytes) {
    return invalid_argument("properties: a key of " + too_long(key.size(), kMaxPropertyKeyBytes));
  }
  if (!is_utf8(key)) return invalid_argument("properties: a key is not UTF-8");
  if (std::ranges::any_of(key, is_control_character))
    return invalid_argument("properties: a key holds a control character");
  return {};
}

}  // namespace

Status check_properties(const Properties& properties) {
  if (properties.size() > kMaxProperties) {
    return invalid_argument("properties: " + std::to_string(properties.size()) + " of them, at most " +
                            std::to_string(kMaxProperties) + " are allowed");
  }
  for (const auto& [key, value] : properties) {
    RETURN_IF_ERROR(check_key(key));
    if (value.size() > kMaxPropertyValueBytes) {
      return invalid_argument("properties." + key + ": " + too_long(value.size(), kMaxPropertyValueBytes));
    }
    if (!is_utf8(value)) return invalid_argument("properties." + key + ": not UTF-8");
    if (value.find('\0') != std::string::npos) return invalid_argument("properties." + key + ": holds a NUL");
  }
  return {};
}

Status check_description(std::string_view description) {
  if (description.size() > kMaxDescriptionBytes) {
    return invalid_argument("description: " + too_long(description.size(), kMaxDescriptionBytes));
  }
  if (!is_utf8(description)) return invalid_argument("description: not UTF-8");
  if (description.find('\0') != std::string_view::npos) return invalid_argument("description: holds a NUL");
  return {};
}

Result<Properties> parse_properties(const std::vector<std::string>& words) {
  Properties properties;
  for (const std::string& word : words) {
    const std::size_t mark = word.find('=');
    if (mark == std::string::npos) return invalid_argument("property '" + word + "': KEY=VALUE is needed");
    std::string key = word.substr(0, mark);
    if (properties.contains(key)) return invalid_argument("property '" + key + "' comes twice");
    properties.emplace(std::move(key), word.substr(mark + 1));
  }
  RETURN_IF_ERROR(check_properties(properties));
  return properties;
}

}  // namespace espalier::model
