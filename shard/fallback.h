// Which version answers for a node, and why (architecture, "A prediction's life"; docs/life-of-a-prediction.md, step
// 5).
//
// Down to up, from the asked node to the root; a node with an empty level value is passed over. At each node the wanted
// version is what the tag names there, or, where an overlay says nothing, the tag below it. If it is ready, it answers.
// If it is wanted but not ready, the first of these that is ready does: (a) the same tag's last ready version of that
// node, (b) the tag below at that node, (c) the next node up. A node that an overlay removes is passed on to the next
// node up.
//
// The reason tells of the first thing that was not as wanted: `exact` and `no_version` if nothing was amiss.
//
// Thread safety: pure functions over a table under a lease.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "common/uuid.h"
#include "shard/model_table.h"
#include "shard/path.h"
#include "wire/messages.h"
#include "wire/trace.h"

namespace espalier::shard {

/// What a request asks for.
struct Ref {
  enum class Kind { tag, release, version };
  Kind kind = Kind::tag;
  std::string_view tag = "production";  ///< borrowed
  Uuid id;                              ///< kind release or version

  /// From "tag:NAME", "release:UUID" or "version:UUID"; empty: tag:production. invalid_argument otherwise.
  static Result<Ref> parse(std::string_view text);
};

struct Choice {
  const Answer* answer = nullptr;  ///< ready
  const Node* node = nullptr;      ///< that answers
  const Node* missed = nullptr;    ///< the first on the way that is wanted and not ready; one left out goes first
  const Tag* tag = nullptr;        ///< whose entry it is; null for a version ref
  std::size_t depth = 0;           ///< of the node below the root
  wire::Reason reason = wire::Reason::exact;
};

/// The tag that a ref stands for: not_found when the model has none such here. REQUIRES: ref is not a version ref.
Result<const Tag*> resolve_tag(const Model& model, const Ref& ref);

/// Of a path on which no node is ready.
struct Unanswered {
  /// This shard holds what is wanted not yet, or damaged, or knows of nothing here: another replica may answer.
  bool is_here_only = false;
  const Node* missed = nullptr;  ///< as in a choice
};

/// What choose() finds on its way, node by node, up to the one that answers.
std::vector<wire::WalkStep> walk(const Model& model, const Tag& tag, const Path& path);

/// no_model: no node up to the root is ready; `unanswered` then says more.
Result<Choice> choose(const Model& model, const Tag& tag, const Path& path, Unanswered* unanswered = nullptr);

/// Whether a node of the same tag above this one answers now where this one doesn't: it is ready, and not in
/// quarantine.
bool is_answered_above(const Model& model, const Tag& tag, const std::vector<std::string>& partition);

/// For a version ref: failed_precondition: it is in quarantine. Else that version, if it is held here and is one of the
/// asked node or its ancestors; not_found otherwise, in the same words whether it exists elsewhere or not. The reason
/// is exact at the asked node, else no_version.
Result<Choice> choose_version(const Model& model, const Uuid& version, const Path& path);

}  // namespace espalier::shard
