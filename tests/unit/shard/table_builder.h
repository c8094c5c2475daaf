// Model tables for tests, in the words of a table: what each tag says of each node and what is ready.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shard/model_table.h"
#include "shard/path.h"

namespace espalier::shard {

/// A version's UUID from a small number.
Uuid uuid_of(unsigned number);

/// An admitted artefact of a model with one numeric input "x" that predicts bias + x; its bytes live as long as the
/// process.
std::shared_ptr<const Servable> servable_of(double bias);

/// The bytes of that artefact.
std::string artefact_of(double bias);

struct NodeLine {
  std::string partition;  ///< text form
  /// "ready", "removed", or why it is not ready: "cold", "corrupt"; with "+previous" the last ready version is there.
  std::string state;
  unsigned version = 0;  ///< number of its UUID; the previous one's is 100 more
};

struct TagLine {
  std::string name;
  std::string below;
  std::vector<NodeLine> nodes;
};

/// Model acme/total with the levels country, state, town.
Model model_of(const std::vector<TagLine>& tags);

/// The level values of a partition's text form.
std::vector<std::string> values_of(std::string_view partition);
/// The path of a partition's text form. REQUIRES: at most three levels.
Path path_of(std::string_view partition);

}  // namespace espalier::shard
