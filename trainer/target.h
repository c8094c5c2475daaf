// What a tree is to predict: the target column as numbers or classes, and which rows are held out.
//
// Thread safety: pure functions. Errors: invalid_argument naming file, line and column.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"
#include "model/spec.h"
#include "trainer/matrix.h"
#include "trainer/source.h"

namespace espalier::trainer {

/// Fills target, or label and classes; returns the classes' names, sorted (binary: negative, positive; regression:
/// none). Where the data has one class only, a second one named "(other)" stands beside it, which no row has.
Result<std::vector<std::string>> read_target(const model::Spec& spec, const Source& source,
                                             const std::vector<std::uint32_t>& rows, Problem& problem);

/// One flag a row: held out or not, by a hash of what the row says and the seed. Equal rows are on one side.
std::vector<bool> choose_held_out(const model::Spec& spec, const Source& source, const std::vector<std::uint32_t>& rows,
                                  const std::vector<model::Field>& inputs);

}  // namespace espalier::trainer
