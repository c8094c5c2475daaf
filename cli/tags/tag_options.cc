// The options of the commands in tag_commands.h.
#include <memory>

#include "cli/command_options.h"
#include "cli/tags/tag_commands.h"
#include "cli/validators.h"

namespace espalier::cli {
namespace {

void add_wish(CLI::App& command, ReleaseWish& wish, bool with_tag) {
  if (with_tag) command.add_option("--tag", wish.tag, "Tag to move")->capture_default_str()->check(kName);
  command
      .add_option("--if-release", wish.if_release, "Only if this is the last release of the tag: else nothing changes")
      ->check(kUuid);
  command.add_option("--note", wish.note, "Why");
  command.add_flag("--wait", wish.wait, "Return only when all shards answer from it");
}

void add_node_commands(CLI::App& tag, const Shared& shared, std::function<Status()>& chosen) {
  const auto add = [&](const char* name, const char* help, Status (*run)(const TagSetOptions&, const Shared&)) {
    auto* command = tag.add_subcommand(name, help);
    const auto options = options_of<TagSetOptions>(*command, shared, chosen, run);
    command->add_option("node", options->node, "TENANT/MODEL@PARTITION")->required()->check(kNode);
    add_wish(*command, options->wish, true);
    command->add_flag("--if-none", options->wish.if_none, "Only if the tag was never moved: else nothing changes");
    return std::pair{command, options};
  };
  const auto [set, options] = add("set", "Point a tag at a version of a node", run_tag_set);
  set->add_option("--version", options->version, "UUID of a version of that node")->required()->check(kUuid);
  add("remove", "Take a node out of a tag: the node above answers for it, whatever lies below the tag", run_tag_remove);
  add("unset", "Let a tag say nothing of a node: what lies below the tag decides, or the node above", run_tag_unset);
}

void add_overlay(CLI::App& tag, const Shared& shared, std::function<Status()>& chosen) {
  auto* command = tag.add_subcommand("overlay", "Let a tag stand on another, which decides where it says nothing");
  const auto options = options_of<OverlayOptions>(*command, shared, chosen, run_overlay);
  command->add_option("model", options->model, "TENANT/MODEL")->required()->check(kModel);
  command->add_option("tag", options->tag, "Tag")->required()->check(kName);
  command->add_option("--on", options->on, "The tag below; left out: it stands on its own again")->check(kName);
  command->add_flag("--wait", options->wait, "Return only when all shards answer from it");
}

void add_quarantine(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* command = app.add_subcommand("quarantine", "Take a version out of service at once: others answer in its place");
  const auto options = options_of<QuarantineOptions>(*command, shared, chosen, run_quarantine);
  command->add_option("node", options->node, "TENANT/MODEL@PARTITION: what the tag names there; or TENANT/MODEL")
      ->required()
      ->check(kNode);
  command->add_option("--version", options->version, "UUID of the version, whatever names it")->check(kUuid);
  command->add_option("--tag", options->tag, "Tag that names it")->capture_default_str()->check(kName);
  command->add_option("--reason", options->reason, "Why, for the registry's log");
  command->add_flag("--lift", options->lift, "Put it back in service");
  command->add_flag("--wait", options->wait, "Return only when all shards have taken it in");
}

void add_history(CLI::App& tags, const Shared& shared, std::function<Status()>& chosen) {
  auto* command = tags.add_subcommand("history", "Every movement of a tag: when, by whom, by what release");
  auto options = std::make_shared<TagHistoryOptions>();
  command->add_option("model", options->model, "TENANT/MODEL")->required()->check(kModel);
  command->add_option("--tag", options->tag, "Tag")->capture_default_str()->check(kName);
  auto* node = command->add_option("--node", options->node, "Of this partition only; '' is the root");
  command->add_option("--as-of", options->as_of, "Up to an epoch, or a time in UTC such as \"2026-11-17 14:03\"");
  command->callback([options, node, &shared, &chosen] {
    options->has_node = node->count() > 0;
    chosen = [options, &shared] { return run_tag_history(*options, shared); };
  });
}

void add_rollback(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* command = app.add_subcommand("rollback", "Take a tag, or a subtree of it, back in one release");
  const auto options = options_of<RollbackOptions>(*command, shared, chosen, run_rollback);
  command->add_option("node", options->node, "TENANT/MODEL or TENANT/MODEL@PARTITION")->required()->check(kNode);
  auto* to = command->add_option_group("to", "Where to: one of");
  to->add_option("--to", options->to, "UUID of a release of the tag: the state that it left")->check(kUuid);
  to->add_option("--to-epoch", options->to_epoch, "The state as of an epoch")->check(CLI::PositiveNumber);
  to->add_option("--as-of", options->as_of, "The state as of a time in UTC such as \"2026-11-17 14:03\", or an epoch");
  to->add_option("--where", options->where,
                 "Of nodes whose version passes, what they had before it came: \"run='R17' and partition under 'br'\"");
  to->require_option(1);
  command->add_flag("--dry-run", options->dry_run, "List what would change; change nothing");
  add_wish(*command, options->wish, true);
}

void add_release_diff(CLI::App& release, const Shared& shared, std::function<Status()>& chosen) {
  auto* command =
      release.add_subcommand("diff", "Which nodes two releases left different, and how their metrics moved");
  const auto options = options_of<ReleaseDiffOptions>(*command, shared, chosen, run_release_diff);
  command->add_option("node", options->node, "TENANT/MODEL or TENANT/MODEL@PARTITION")->required()->check(kNode);
  command->add_option("A", options->from, "UUID of a release")->required()->check(kUuid);
  command->add_option("B", options->to, "UUID of a release")->required()->check(kUuid);
}

void add_promote(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* command = app.add_subcommand("promote", "Move what one tag says to another, and what that had to an archive");
  const auto options = options_of<PromoteOptions>(*command, shared, chosen, run_promote);
  command->add_option("node", options->node, "TENANT/MODEL or TENANT/MODEL@PARTITION")->required()->check(kNode);
  command->add_option("--from", options->from, "Tag")->capture_default_str()->check(kName);
  command->add_option("--to", options->wish.tag, "Tag")->capture_default_str()->check(kName);
  auto* archive = command->add_option("--archive", options->archive, "Tag that takes what was replaced")
                      ->capture_default_str()
                      ->check(kName);
  command->add_flag("--no-archive", options->no_archive, "No tag takes it")->excludes(archive);
  command->add_flag("--keep", options->keep, "Leave the first tag as it is");
  command->add_flag("--replace", options->replace, "Unset nodes in the second tag of which the first says nothing");
  add_wish(*command, options->wish, false);
}

}  // namespace

void add_tag_commands(CLI::App& app, CLI::App& release, CLI::App& tags, const Shared& shared,
                      std::function<Status()>& chosen) {
  auto* tag = app.add_subcommand("tag", "What a tag says of one node, and which tag it stands on");
  tag->require_subcommand(1);
  add_node_commands(*tag, shared, chosen);
  add_overlay(*tag, shared, chosen);
  add_history(tags, shared, chosen);
  add_rollback(app, shared, chosen);
  add_release_diff(release, shared, chosen);
  add_promote(app, shared, chosen);
  add_quarantine(app, shared, chosen);
}

}  // namespace espalier::cli
