// What Artefact::open() found in the bytes: shared by the files that implement Artefact.
//
// Thread safety: immutable. Ownership: views into the artefact's bytes.
#pragma once

#include <string_view>
#include <vector>

#include "model/artefact.h"
#include "model/artefact_probes.h"
#include "model/artefact_sections.h"
#include "model/linear.h"

namespace espalier::model {

struct Artefact::Layout {
  std::string_view bytes;
  ArtefactHeader header;
  std::vector<std::string_view> classes;
  Program program;
  LinearModel linear;
  ProbeReader probes;
};

}  // namespace espalier::model
