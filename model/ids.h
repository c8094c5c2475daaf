// Names, partitions and the canonical key of a node: built and parsed here only (architecture: "Placement").
//
//   text form        usa/ca/fresno        the root is the empty text; / @ % , and control characters are
//   percent-encoded canonical key    tenant, model, then the level values as raw UTF-8; inside a component 0x00 is
//   written 00 FF; each component ends
//                    in 00 01, so that the key of a node is a prefix of the keys of its subtree
//
// Thread safety: values and pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::model {

inline constexpr std::size_t kMaxLevels = 8;
inline constexpr std::size_t kMaxNameBytes = 64;
inline constexpr std::size_t kMaxLevelValueBytes = 256;

/// ok when `name` matches [a-z0-9][a-z0-9_.-]{0,63}; else invalid_argument naming `what` ("tenant", "model", "tag").
Status check_name(std::string_view what, std::string_view name);

/// A path of level values. An empty value in the middle is allowed (a transparent node); trailing empty values are
/// dropped.
class Partition {
 public:
  Partition() = default;  ///< the root

  /// From the text form. invalid_argument: bad escape, value too long, not UTF-8, more than kMaxLevels values.
  static Result<Partition> parse(std::string_view text);
  /// From raw values, outermost first. The same errors as parse().
  static Result<Partition> from_values(std::span<const std::string_view> values);
  static Result<Partition> from_values(const std::vector<std::string>& values);

  std::size_t depth() const { return values_.size(); }
  bool is_root() const { return values_.empty(); }
  const std::vector<std::string>& values() const { return values_; }
  /// The first `depth` values. REQUIRES: depth <= this->depth().
  Partition ancestor(std::size_t depth) const;
  /// True when the last value is empty in the middle of a path, i.e. a node that is passed over and never trained.
  bool is_transparent() const { return !values_.empty() && values_.back().empty(); }
  std::string text() const;

  auto operator<=>(const Partition&) const = default;

 private:
  std::vector<std::string> values_;
};

/// Appends one escaped component and its end mark.
void append_component(std::string& key, std::string_view component);
/// tenant and model: the prefix of every node key of the model, and the key of its root.
std::string model_key(std::string_view tenant, std::string_view model);
std::string node_key(std::string_view tenant, std::string_view model, const Partition& partition);

/// The components of a canonical key (or of any run of components). corrupt when it isn't one.
Result<std::vector<std::string>> split_components(std::string_view key);

/// "acme/total@usa/ca" : the way nodes are written on the command line and in messages.
struct NodeName {
  std::string tenant;
  std::string model;
  Partition partition;

  /// From "TENANT/MODEL" or "TENANT/MODEL@PARTITION". invalid_argument names the part that is wrong.
  static Result<NodeName> parse(std::string_view text);
  std::string text() const;
};

}  // namespace espalier::model
