#include "shard/fallback.h"

#include <optional>

namespace espalier::shard {
namespace {

using wire::EntryKind;
using wire::Reason;

/// The first thing on the way that was not as wanted.
void note(std::optional<Reason>& amiss, Reason reason) {
  if (!amiss) amiss = reason;
}

/// What a tag has for a node: its wanted version, or else its last ready one; neither while it is in quarantine.
const Answer* ready_answer(const Model& model, const Node& node) {
  if (node.kind != EntryKind::version) return nullptr;
  for (const Answer* answer : {&node.wanted, &node.previous}) {
    if (answer->is_ready() && !model.is_quarantined(answer->version)) return answer;
  }
  return nullptr;
}

const Tag* tag_below(const Model& model, const Tag& tag) {
  return tag.below.empty() ? nullptr : model.find_tag(tag.below);
}

/// What answers at this node itself, following the tag and those below it; nothing: the next node up is asked.
std::optional<Choice> choose_at(const Model& model, const Tag& top, std::string_view key, std::uint64_t hash,
                                std::optional<Reason>& amiss, const Node*& missed) {
  constexpr int kMaxTags = 8;
  std::optional<Reason> not_ready;
  const Tag* tag = &top;
  for (int i = 0; tag != nullptr && i < kMaxTags; ++i, tag = tag_below(model, *tag)) {
    const Node* node = tag->nodes.find(key, hash);
    if (node == nullptr) continue;
    if (node->kind == EntryKind::removed) {
      if (!not_ready) not_ready = Reason::removed;
      break;
    }
    if (const Answer* answer = ready_answer(model, *node)) {
      if (not_ready) {
        note(amiss, Reason::overlay_not_ready);
      } else if (answer == &node->previous) {
        note(amiss, Reason::previous);
      }
      return Choice{answer, node, missed, tag, 0, Reason::exact};
    }
    if (!not_ready)
      not_ready = model.is_quarantined(node->wanted.version) ? Reason::quarantined : node->why_not_ready();
    if (missed == nullptr || (node->is_left_out && !missed->is_left_out)) missed = node;
  }
  if (not_ready) note(amiss, *not_ready);
  return std::nullopt;
}

}  // namespace

Result<Ref> Ref::parse(std::string_view text) {
  if (text.empty()) return Ref{};
  const auto after = [&](std::string_view prefix) -> std::optional<std::string_view> {
    if (!text.starts_with(prefix)) return std::nullopt;
    return text.substr(prefix.size());
  };
  Ref ref;
  if (const auto name = after("tag:")) {
    RETURN_IF_ERROR(model::check_name("tag", *name));
    ref.tag = *name;
    return ref;
  }
  const auto release = after("release:");
  const auto version = after("version:");
  if (!release && !version) {
    return invalid_argument("refs[0]: expected tag:NAME, release:UUID or version:UUID, got \"" +
                            std::string(text.substr(0, 80)) + "\"");
  }
  const Result<Uuid> id = Uuid::parse(release ? *release : *version);
  if (!id.ok()) return id.status().at("refs[0]");
  ref.kind = release ? Kind::release : Kind::version;
  ref.tag = {};
  ref.id = *id;
  return ref;
}

Result<const Tag*> resolve_tag(const Model& model, const Ref& ref) {
  const std::string name = model.tenant + "/" + model.model;
  if (ref.kind == Ref::Kind::tag) {
    if (const Tag* tag = model.find_tag(ref.tag)) return tag;
    return not_found("tag " + std::string(ref.tag) + " of model " + name);
  }
  for (const auto& tag : model.tags) {
    if (tag->release == ref.id) return tag.get();
  }
  return not_found("release " + ref.id.text() + ": no tag of model " + name + " stands at it on this shard");
}

Result<Choice> choose(const Model& model, const Tag& tag, const Path& path, Unanswered* unanswered) {
  std::optional<Reason> amiss;
  const Node* missed = nullptr;
  for (std::size_t depth = path.depth() + 1; depth-- > 0;) {
    if (path.is_transparent(depth)) continue;
    const std::string_view key = path.key(depth);
    std::optional<Choice> choice = choose_at(model, tag, key, SnapshotMap<Node>::hash_of(key), amiss, missed);
    if (!choice) continue;
    choice->depth = depth;
    choice->reason = amiss.value_or(depth == path.depth() ? Reason::exact : Reason::no_version);
    return *choice;
  }
  std::string message =
      "tag " + tag.name + " of model " + model.tenant + "/" + model.model + " has no ready node on this path";
  if (unanswered != nullptr) {
    // A path of which nothing is known here may be of a release that hasn't come yet.
    unanswered->is_here_only =
        !amiss || amiss == Reason::cold || amiss == Reason::corrupt || amiss == Reason::over_budget;
    unanswered->missed = missed;
  }
  if (amiss) message += " (" + std::string(wire::reason_name(*amiss)) + ")";
  return Status(Code::no_model, std::move(message));
}

std::vector<wire::WalkStep> walk(const Model& model, const Tag& tag, const Path& path) {
  std::vector<wire::WalkStep> steps;
  for (std::size_t depth = path.depth() + 1; depth-- > 0;) {
    if (path.is_transparent(depth)) continue;
    const std::string_view key = path.key(depth);
    std::optional<Reason> amiss;
    const Node* missed = nullptr;
    const auto choice = choose_at(model, tag, key, SnapshotMap<Node>::hash_of(key), amiss, missed);
    wire::WalkStep step;
    step.depth = static_cast<std::uint32_t>(depth);
    step.level = model.level_name(depth);
    step.answers = choice.has_value();
    step.reason = amiss.value_or(choice ? Reason::exact : Reason::no_version);
    if (choice) {
      step.version = choice->answer->version;
      step.tag = choice->tag->name;
    } else if (missed != nullptr) {
      step.version = missed->wanted.version;
    }
    steps.push_back(std::move(step));
    if (choice) break;
  }
  return steps;
}

bool is_answered_above(const Model& model, const Tag& tag, const std::vector<std::string>& partition) {
  std::string above;
  for (std::size_t depth = 0; depth < partition.size(); ++depth) {
    // A node with an empty value is passed over.
    const bool is_asked = depth == 0 || !partition[depth - 1].empty();
    const Node* node = is_asked ? tag.nodes.find(above) : nullptr;
    if (node != nullptr && ready_answer(model, *node) != nullptr) return true;
    model::append_component(above, partition[depth]);
  }
  return false;
}

Result<Choice> choose_version(const Model& model, const Uuid& version, const Path& path) {
  if (model.is_quarantined(version)) return failed_precondition("version " + version.text() + " is in quarantine");
  for (std::size_t depth = path.depth() + 1; depth-- > 0;) {
    if (path.is_transparent(depth)) continue;
    for (const auto& tag : model.tags) {
      const Node* node = tag->nodes.find(path.key(depth));
      if (node == nullptr || node->kind != EntryKind::version) continue;
      for (const Answer* answer : {&node->wanted, &node->previous}) {
        if (answer->is_ready() && answer->version == version) {
          return Choice{answer,  node,  nullptr,
                        nullptr, depth, depth == path.depth() ? Reason::exact : Reason::no_version};
        }
      }
    }
  }
  return not_found("version " + version.text() + ": not held here for the asked node or one above it");
}

}  // namespace espalier::shard
