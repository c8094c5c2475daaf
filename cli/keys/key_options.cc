// The options of the commands in key_commands.h.
#include "cli/command_options.h"
#include "cli/keys/key_commands.h"
#include "cli/validators.h"

namespace espalier::cli {
namespace {

const CLI::IsMember kKeyRole({"admin", "publisher", "predictor", "reader", "router", "shard"});

void add_what_it_may(CLI::App& command, KeyOptions& options, bool is_new) {
  auto* roles = command.add_option("--role", options.roles, "admin, publisher, predictor, reader, router or shard")
                    ->delimiter(',')
                    ->check(kKeyRole);
  if (is_new) roles->required();
  auto* tenants =
      command.add_option("--tenant", options.tenants, "For this tenant; again for more")->delimiter(',')->check(kName);
  if (is_new) {
    command.add_flag("--all-tenants", options.all_tenants, "For every tenant that there is or will be")
        ->excludes(tenants);
  }
  command.add_option("--expires", options.expires, "It ends then: a time in UTC such as \"2026-12-31 00:00\"");
}

void add_out(CLI::App& command, KeyOptions& options) {
  command.add_option("--out", options.out, "File to make for it (default: NAME.key)");
}

void add_audit(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* audit = app.add_subcommand("audit", "Who changed what, and when: newest first");
  const auto options = options_of<AuditOptions>(*audit, shared, chosen, run_audit);
  audit->add_option("--tenant", options->tenant, "Of this tenant; a tenant's own key needs it")->check(kName);
  audit->add_option("--who", options->who, "By the key of this name, by 'local', or by the 'registry' itself");
  audit->add_option("--operation", options->operation, "E.g. publish, set_tenant, key_revoke");
  audit->add_option("--since", options->since, "From then on: a time in UTC such as \"2026-11-17 14:03\"");
  audit->add_option("--until", options->until, "Up to then");
  audit->add_option("--limit", options->limit, "So many at most")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{1}, UINT64_MAX));
}

}  // namespace

void add_key_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* keys = app.add_subcommand("keys", "Keys: who may do what for which tenants");
  keys->require_subcommand(1);

  auto* create = keys->add_subcommand("create", "Make a key, and a file with it that only you can read");
  const auto created = options_of<KeyOptions>(*create, shared, chosen, run_key_create);
  create->add_option("name", created->name, "What to call it; a shard's key is called as the shard")
      ->required()
      ->check(kName);
  add_what_it_may(*create, *created, true);
  add_out(*create, *created);

  options_of<KeyOptions>(*keys->add_subcommand("list", "All keys, and whether they count"), shared, chosen,
                         run_key_list);

  auto* limit = keys->add_subcommand("limit", "Take away some of what a key may do: name what is left");
  const auto limited = options_of<KeyOptions>(*limit, shared, chosen, run_key_limit);
  limit->add_option("name", limited->name, "Name of the key")->required()->check(kName);
  add_what_it_may(*limit, *limited, false);

  auto* rotate = keys->add_subcommand("rotate", "Make another secret for a key; the old one counts for a while longer");
  const auto rotated = options_of<KeyOptions>(*rotate, shared, chosen, run_key_rotate);
  rotate->add_option("name", rotated->name, "Name of the key")->required()->check(kName);
  rotate->add_option("--overlap-seconds", rotated->overlap_seconds, "So long both count")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 30.0 * 24 * 3600));
  add_out(*rotate, *rotated);

  auto* revoke = keys->add_subcommand("revoke", "A key counts no more, everywhere, for good");
  const auto revoked = options_of<KeyOptions>(*revoke, shared, chosen, run_key_revoke);
  revoke->add_option("name", revoked->name, "Name of the key")->required()->check(kName);

  auto* shown = keys->add_subcommand("public", "Print the public half of the key in a file, as endpoints have it");
  const auto of_file = options_of<KeyOptions>(*shown, shared, chosen, run_key_public);
  shown->add_option("file", of_file->out, "Key file")->required();
  add_audit(app, shared, chosen);
}

}  // namespace espalier::cli
