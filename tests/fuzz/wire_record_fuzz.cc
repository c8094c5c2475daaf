// The same as wire_message_fuzz for the messages and records of keys, runs, datasets, tags, space, moves and upkeep:
// the registry's records on disk, too, are of these forms.
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fuzz_driver.h"
#include "tests/unit/wire/sample_messages.h"
#include "wire/audit_messages.h"
#include "wire/dataset_messages.h"
#include "wire/health_messages.h"
#include "wire/key_messages.h"
#include "wire/membership_messages.h"
#include "wire/moving_messages.h"
#include "wire/quarantine_messages.h"
#include "wire/run_messages.h"
#include "wire/search_messages.h"
#include "wire/shard_status_messages.h"
#include "wire/space_messages.h"
#include "wire/status_messages.h"
#include "wire/tag_messages.h"
#include "wire/traffic_messages.h"
#include "wire/upkeep_messages.h"

namespace {

using namespace espalier;
using namespace espalier::wire;

/// Many small elements may be too much for the general reader, which allocates each.
bool refused_for_memory(const Status& status) {
  return status.message().find("than a message of this size may have") != std::string::npos;
}

template <class T>
bool check(std::string_view input) {
  const Result<T> first = decode<T>(input);
  if (!first.ok()) {
    if (first.status().code() != Code::invalid_argument || first.status().message().empty()) std::abort();
    return false;
  }
  const std::string written = encode(*first);
  const Result<T> second = decode<T>(written);
  if (!second.ok() && refused_for_memory(second.status())) return true;
  if (!second.ok() || encode(*second) != written) std::abort();
  return true;
}

/// Whether one of them took it.
template <class... T>
bool check_all(std::string_view input) {
  bool is_taken = false;
  ((is_taken = check<T>(input) || is_taken), ...);
  return is_taken;
}

bool target(std::string_view input) {
  (void)decode_reply<KeysReply>(input);
  (void)decode_array<KeyRecord>(input);
  return check_all<
      DatasetPutRequest, DatasetsRequest, DatasetsReply, DatasetRecord, KeyRecord, KeyCreateRequest, KeyLimitRequest,
      KeyRotateRequest, KeyRevokeRequest, KeysRequest, KeysReply, RenewRequest, RenewReply, DrainRequest,
      SetTenantRequest, ImportRequest, ImportReply, ImportRecord, QuarantineRequest, RunStartRequest, RunLogRequest,
      RunEndRequest, RunAttachRequest, RunsRequest, RunMetricsRequest, RunFileRequest, RunsReply, RunMetricsReply,
      RunFileReply, RunRecord, RunState, RunLast, SearchRequest, SearchReply, NodeRecord, TenantRecord,
      ShardStatusRequest, ShardStatusReply, RetentionRequest, SetRetentionRequest, CollectRequest, EraseRequest,
      ReceiptRequest, ReceiptItemsRequest, VerifyErasureRequest, RetentionReply, StartedReply, ReceiptReply,
      ReceiptItemsReply, VerifyErasureReply, RetentionRule, Receipt, ReceiptItem, StatusRequest, StatusReply,
      RollbackRequest, RollbackPreviewRequest, ReleaseDiffRequest, DifferencesReply, TagHistoryRequest, TagHistoryReply,
      OverlayRequest, PromoteRequest, CheckRequest, CheckReply, ArchiveRequest, ArchiveReply, AuditRequest, AuditReply,
      AuditRecord, SetQuotaRequest, QuotaRequest, QuotaReply, QuotaRecord, RouterStatusRequest, RouterStatusReply>(
      input);
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const auto& [name, bytes] : samples::all()) all.push_back(bytes);
  return all;
}

}  // namespace

int main() { return espalier::testing::run_fuzzer(seeds(), target); }
