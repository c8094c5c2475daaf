// Small artefacts, one for each task and weight format: what the tests of artefacts, packs and golden bytes share.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/artefact.h"
#include "model/features.h"

namespace espalier::model {

/// A program fitted on a few constant rows: inputs `age` (number) and `text` (text).
std::string small_program();
/// A row of the small program's inputs.
std::vector<Value> small_row(double age, std::string_view text);

/// Contents with weights that are a pure function of their place; `program` as small_program().
ArtefactContents regression_contents(WeightFormat format);
ArtefactContents binary_contents(WeightFormat format);
ArtefactContents multiclass_contents(WeightFormat format, std::uint32_t classes = 3);

/// Three rows: plain, missing values, odd bytes.
std::vector<std::vector<Value>> small_probes();

struct NamedContents {
  std::string name;
  ArtefactContents contents;
};
/// Every task in every format.
std::vector<NamedContents> all_contents();

/// What build_artefact() makes of the contents and small_probes(); a failure ends the test program.
std::string must_build(const ArtefactContents& contents);

}  // namespace espalier::model
