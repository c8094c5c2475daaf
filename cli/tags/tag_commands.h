// The commands that move tags and tell of their movements: tag, rollback, promote, release diff, tags history.
//
// As commands.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cli/commands.h"
#include "client/registry_client.h"
#include "common/uuid.h"
#include "wire/messages.h"

namespace CLI {
class App;
}

namespace espalier::cli {

/// What all commands share that make a release.
struct ReleaseWish {
  std::string tag = "production";
  std::string if_release;  ///< UUID: only if that is the tag's last release
  bool if_none = false;    ///< only if it has none
  std::string note;
  bool wait = false;
};
/// The UUID that an option gave; nil where it is empty. invalid_argument names the option.
Result<Uuid> uuid_option(const std::string& option, const std::string& text);
/// Waits where that is wished, and prints what was made: "release 018f… moved 3 nodes of tag production".
Status report_release(client::RegistryClient& registry, const wire::ReleaseReply& made, const std::string& tag,
                      bool wait, const Shared& shared);

/// unavailable: after a minute not all shards have acknowledged the epoch.
Status wait_until_served(client::RegistryClient& registry, std::uint64_t epoch, const std::string& what);

struct TagSetOptions {
  std::string node;
  std::string version;  ///< set: UUID
  ReleaseWish wish;
};
Status run_tag_set(const TagSetOptions& options, const Shared& shared);
Status run_tag_remove(const TagSetOptions& options, const Shared& shared);
Status run_tag_unset(const TagSetOptions& options, const Shared& shared);

struct OverlayOptions {
  std::string model, tag;
  std::string on;  ///< empty: on its own
  bool wait = false;
};
Status run_overlay(const OverlayOptions& options, const Shared& shared);

struct QuarantineOptions {
  std::string node;     ///< TENANT/MODEL, or TENANT/MODEL@PARTITION for what the tag names there
  std::string version;  ///< UUID
  std::string tag = "production", reason;
  bool lift = false, wait = false;
};
Status run_quarantine(const QuarantineOptions& options, const Shared& shared);

struct TagHistoryOptions {
  std::string model;
  std::string tag = "production";
  std::string node;  ///< a partition
  bool has_node = false;
  std::string as_of;
};
Status run_tag_history(const TagHistoryOptions& options, const Shared& shared);

struct RollbackOptions {
  std::string node;  ///< or a model
  std::string to;    ///< UUID of a release
  std::uint64_t to_epoch = 0;
  std::string as_of, where;
  bool dry_run = false;
  ReleaseWish wish;
};
Status run_rollback(const RollbackOptions& options, const Shared& shared);

struct ReleaseDiffOptions {
  std::string node;  ///< or a model
  std::string from, to;
};
Status run_release_diff(const ReleaseDiffOptions& options, const Shared& shared);

struct PromoteOptions {
  std::string node;  ///< or a model
  std::string from = "staging", archive = "archived";
  bool no_archive = false, keep = false, replace = false;
  ReleaseWish wish;  ///< its tag: where to
};
Status run_promote(const PromoteOptions& options, const Shared& shared);

/// Adds the commands tag, rollback and promote, and those below `release` and `tags`; the one that the command line
/// names is left in `chosen`. `shared` and `chosen` outlive the app.
void add_tag_commands(CLI::App& app, CLI::App& release, CLI::App& tags, const Shared& shared,
                      std::function<Status()>& chosen);

}  // namespace espalier::cli
