#include <algorithm>

#include "cli/doctor/checks.h"
#include "cli/output.h"
#include "client/registry_client.h"
#include "common/clock.h"
#include "common/key_file.h"
#include "wire/keyring.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kSoonUs = std::int64_t{14} * 24 * 3600 * 1'000'000;
constexpr std::int64_t kKeysPatienceUs = 2'000'000;

Result<wire::KeysReply> known_keys(const Shared& shared, const ClusterFile& cluster) {
  ASSIGN_OR_RETURN(const auto answers, ask_all(shared, {{"registry", "registry", cluster.registry}},
                                               wire::encode(wire::KeysRequest{}), kKeysPatienceUs));
  RETURN_IF_ERROR(answers[0].status);
  return wire::decode_reply<wire::KeysReply>(answers[0].header());
}

/// Whether the registry's own, whose public half is in the endpoints instead of its table.
bool is_of_listener(const ClusterFile& cluster, const PublicKey& key) {
  return std::ranges::any_of(cluster.registry, [&](const std::string& at) { return at.ends_with("#" + key.hex()); });
}

void check_known(const std::string& path, const KeyFile& file, const wire::KeysReply& known, Findings& findings) {
  const std::string whose = path + " (" + file.name + ")";
  const std::int64_t now_us = Clock::system().wall_us();
  const auto record = std::ranges::find(known.keys, file.name, &wire::KeyRecord::name);
  const char* anew = "make another: `espalier keys create`, or `espalier keys rotate` for one that goes on";
  if (record == known.keys.end()) {
    findings.add(Severity::problem, "keys", whose, "the registry doesn't know it", anew);
    return;
  }
  const auto half = std::ranges::find(record->halves, file.pair->public_key(), &wire::KeyHalf::key);
  if (half == record->halves.end()) {
    findings.add(Severity::problem, "keys", whose, "the registry knows this name with another secret: it was rotated",
                 "use the newest file of it that `espalier keys rotate` or `create` made");
  } else if (record->revoked_us != 0) {
    findings.add(Severity::problem, "keys", whose, "it was revoked " + time_text(record->revoked_us) + " UTC", anew);
  } else if (!wire::is_valid(*record, *half, now_us)) {
    const bool has_expired = !wire::is_valid(*record, now_us);
    findings.add(Severity::problem, "keys", whose,
                 (has_expired ? "it expired " : "it was rotated, and this secret counted until ") +
                     time_text(has_expired ? record->expires_us : half->until_us) + " UTC",
                 has_expired ? anew : "use the file that `espalier keys rotate` made");
  } else {
    std::int64_t ends_us = record->expires_us;
    if (half->until_us != 0 && (ends_us == 0 || half->until_us < ends_us)) ends_us = half->until_us;
    const bool is_soon = ends_us != 0 && ends_us - now_us < kSoonUs;
    findings.add(is_soon ? Severity::warning : Severity::ok, "keys", whose,
                 ends_us == 0 ? "it counts" : "it counts until " + time_text(ends_us) + " UTC", is_soon ? anew : "");
  }
}

}  // namespace

void check_keys(const Patient& patient, const ClusterFile* cluster, const Shared& shared, Findings& findings) {
  if (patient.key_files.empty()) return;
  Result<wire::KeysReply> known = unavailable("no cluster was named");
  if (cluster != nullptr) known = known_keys(shared, *cluster);
  if (!known.ok()) {
    findings.add(Severity::unknown, "keys", "registry", "which keys count isn't known: " + known.status().text(),
                 "bring the registry back, or name a key that may list them: --key");
  }
  for (const std::string& path : patient.key_files) {
    const auto file = read_key_file(path);
    if (!file.ok()) {
      const Code code = file.status().code();
      std::string to_do = "put it back from where it is kept, or make another";
      if (code == Code::permission_denied)
        to_do = "chmod 600, for the user of its process; if others had it, rotate it";
      if (code == Code::failed_precondition) to_do = "put the file itself there";
      std::string found = file.status().message();
      if (found.starts_with(path + ": ")) found.erase(0, path.size() + 2);
      findings.add(Severity::problem, "keys", path, found, to_do);
      continue;
    }
    findings.add(Severity::ok, "keys", path, "is its owner's alone");
    if (!known.ok()) continue;
    if (is_of_listener(*cluster, file->pair->public_key())) {
      findings.add(Severity::ok, "keys", path, "is the registry's own, as its endpoint says");
    } else {
      check_known(path, *file, *known, findings);
    }
  }
}

}  // namespace espalier::cli
