#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "cli/json_records.h"
#include "cli/keys/joined.h"
#include "cli/keys/key_commands.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "common/clock.h"
#include "common/core_files.h"
#include "common/key_file.h"
#include "common/utc.h"
#include "wire/keyring.h"

namespace espalier::cli {
namespace {

Result<std::int64_t> parse_expires(const std::string& text) {
  if (text.empty()) return std::int64_t{0};
  const auto time = parse_utc(text);
  if (!time) return invalid_argument("--expires: a time in UTC such as \"2026-12-31 00:00\", got '" + text + "'");
  return *time;
}

std::string file_of(const KeyOptions& options) { return options.out.empty() ? options.name + ".key" : options.out; }

/// Makes a secret in its file, then has `tell` tell the registry of the public half; where that is refused, the file
/// goes again. Where nobody answered it stays: the registry may know of it.
template <class Tell>
Result<wire::EpochReply> make_key(const KeyOptions& options, Tell tell) {
  forbid_core_files();
  const KeyFile key{options.name, KeyPair::make()};
  const std::string path = file_of(options);
  RETURN_IF_ERROR(write_key_file(path, key));
  auto reply = tell(key.pair->public_key());
  if (!reply.ok() && reply.status().code() != Code::unavailable) ::unlink(path.c_str());
  return reply;
}

std::string state_of(const wire::KeyRecord& key, std::int64_t now_us) {
  if (key.revoked_us != 0) return "revoked " + time_text(key.revoked_us);
  if (!wire::is_valid(key, now_us)) return "expired " + time_text(key.expires_us);
  std::string state = "counts";
  if (key.expires_us != 0) state += " until " + time_text(key.expires_us);
  for (const wire::KeyHalf& half : key.halves) {
    if (half.until_us > now_us) state += ", an old secret until " + time_text(half.until_us);
  }
  return state;
}

nlohmann::json key_json(const wire::KeyRecord& key, std::int64_t now_us) {
  auto halves = nlohmann::json::array();
  for (const wire::KeyHalf& half : key.halves) {
    halves.push_back({{"public", half.key.hex()},
                      {"until", half.until_us == 0 ? "" : time_text(half.until_us)},
                      {"counts", wire::is_valid(key, half, now_us)}});
  }
  return {{"name", key.name},
          {"roles", key.roles},
          {"tenants", key.tenants},
          {"all_tenants", key.all_tenants},
          {"counts", wire::is_valid(key, now_us)},
          {"expires", key.expires_us == 0 ? "" : time_text(key.expires_us)},
          {"revoked", key.revoked_us == 0 ? "" : time_text(key.revoked_us)},
          {"created", time_text(key.created_us)},
          {"changed_by", key.principal},
          {"epoch", key.epoch},
          {"halves", halves}};
}

void say(const Shared& shared, const KeyOptions& options, const wire::EpochReply& reply, const std::string& text) {
  if (!shared.json) return print_line(text);
  print_json({{"key", options.name}, {"epoch", reply.epoch}});
}

}  // namespace

Status run_key_create(const KeyOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const std::int64_t expires_us, parse_expires(options.expires));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(
      const wire::EpochReply reply, make_key(options, [&](const PublicKey& key) {
        return registry->call(wire::KeyCreateRequest{new_uuid(), options.name, options.roles, options.tenants,
                                                     options.all_tenants, expires_us, key});
      }));
  say(shared, options, reply, file_of(options) + " is key " + options.name + "; keep it secret, there is no copy");
  return {};
}

Status run_key_rotate(const KeyOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  const auto overlap_us = static_cast<std::int64_t>(options.overlap_seconds * 1e6);
  ASSIGN_OR_RETURN(const wire::EpochReply reply, make_key(options, [&](const PublicKey& key) {
                     return registry->call(wire::KeyRotateRequest{new_uuid(), options.name, key, overlap_us});
                   }));
  say(shared, options, reply,
      file_of(options) + " is key " + options.name + " from now on; the secret before it counts for " +
          seconds_text(options.overlap_seconds) + " more");
  return {};
}

Status run_key_limit(const KeyOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const std::int64_t expires_us, parse_expires(options.expires));
  if (options.roles.empty() && options.tenants.empty() && expires_us == 0) {
    return invalid_argument("say what is left of key " + options.name + ": --role, --tenant or --expires");
  }
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(
      const wire::EpochReply reply,
      registry->call(wire::KeyLimitRequest{new_uuid(), options.name, options.roles, options.tenants, expires_us}));
  say(shared, options, reply, "key " + options.name + " is limited");
  return {};
}

Status run_key_revoke(const KeyOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::EpochReply reply, registry->call(wire::KeyRevokeRequest{new_uuid(), options.name}));
  say(shared, options, reply, "key " + options.name + " counts no more");
  return {};
}

Status run_key_list(const KeyOptions&, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::KeysReply reply, registry->call(wire::KeysRequest{}));
  const std::int64_t now_us = Clock::system().wall_us();
  if (shared.json) {
    auto list = nlohmann::json::array();
    for (const wire::KeyRecord& key : reply.keys) list.push_back(key_json(key, now_us));
    print_json({{"epoch", reply.epoch}, {"keys", list}});
    return {};
  }
  Table table({"name", "roles", "tenants", "state"});
  for (const wire::KeyRecord& key : reply.keys) {
    const std::string tenants = key.all_tenants ? "all" : key.tenants.empty() ? "-" : joined(key.tenants);
    table.add({key.name, joined(key.roles), tenants, state_of(key, now_us)});
  }
  print_line(table.rows() == 0 ? "no keys" : table.text());
  return {};
}

Status run_key_public(const KeyOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const KeyFile file, read_key_file(options.out));
  const std::string half = file.pair->public_key().hex();
  if (shared.json) {
    print_json({{"name", file.name}, {"public", half}});
  } else {
    print_line(half);
  }
  return {};
}

}  // namespace espalier::cli
