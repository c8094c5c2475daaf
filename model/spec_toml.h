// A TOML file as the tree that a spec is read from, with the place of each key for messages. The canonical JSON of a
// spec gives the same tree.
//
// Thread safety: values and pure functions.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "common/status.h"

namespace espalier::model {

using Json = nlohmann::json;

/// Where a key stands in the file: its path, such as training.l2, to "spec.toml:12:1: ".
class Places {
 public:
  explicit Places(std::string_view source) : source_(source) {}
  void set(const std::string& path, std::size_t line, std::size_t column) {
    places_[path] = source_ + ":" + std::to_string(line) + ":" + std::to_string(column);
  }
  Status wrong(const std::string& path, const std::string& message) const {
    const auto found = places_.find(path);
    return invalid_argument((found == places_.end() ? source_ : found->second) + ": " + path + ": " + message);
  }
  Status wrong(const std::string& path, const Status& status) const {
    const auto found = places_.find(path);
    return status.at(found == places_.end() ? source_ : found->second);
  }
  const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::map<std::string, std::string> places_;
};

/// invalid_argument: not TOML, a date, nested deeper than a spec can be; with the place. Fills `places`.
Result<Json> read_toml(std::string_view text, Places& places);

}  // namespace espalier::model
