#include "cli/space/receipts.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/json_records.h"
#include "cli/output.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kWaitUs = 5'000'000;

Result<std::vector<wire::ReceiptItem>> items_of(client::RegistryClient& registry, const wire::Receipt& receipt) {
  std::vector<wire::ReceiptItem> items;
  wire::ReceiptItemsRequest request{receipt.tenant, receipt.receipt, {}};
  do {
    ASSIGN_OR_RETURN(auto page, registry.call(request));
    std::move(page.items.begin(), page.items.end(), std::back_inserter(items));
    request.cursor = std::move(page.cursor);
  } while (!request.cursor.empty());
  return items;
}

std::string_view kind_name(wire::ReceiptKind kind) {
  switch (kind) {
    case wire::ReceiptKind::collection: return "collection";
    case wire::ReceiptKind::erasure: return "erasure";
    case wire::ReceiptKind::import: return "import";
  }
  return "";
}

json receipt_json(const wire::ReceiptReply& reply, const std::vector<wire::ReceiptItem>& items) {
  const wire::Receipt& receipt = reply.receipt;
  auto versions = json::array(), artefacts = json::array();
  for (const auto& item : items) {
    if (item.is_artefact) {
      artefacts.push_back({{"artefact", item.artefact.hex()}, {"bytes", item.bytes}});
    } else {
      versions.push_back({{"model", item.model},
                          {"partition", item.partition},
                          {"version", item.version.text()},
                          {"artefact", item.artefact.hex()},
                          {"bytes", item.bytes}});
    }
  }
  json document = {{"receipt", receipt.receipt.text()},
                   {"kind", kind_name(receipt.kind)},
                   {"tenant", receipt.tenant},
                   {"model", receipt.model.empty() ? json(nullptr) : json(receipt.model)},
                   {"dry_run", receipt.dry_run},
                   {"principal", receipt.principal},
                   {"started_us", receipt.started_us},
                   {"finished_us", receipt.finished_us},
                   {"epoch", receipt.epoch},
                   {"version_count", receipt.versions},
                   {"artefact_count", receipt.artefacts},
                   {"artefact_bytes", receipt.artefact_bytes},
                   {"records", receipt.records},
                   {"disk_before", receipt.disk_before},
                   {"disk_after", receipt.disk_after},
                   {"items_hash", receipt.items.is_none() ? json(nullptr) : json(receipt.items.hex())},
                   {"versions", versions},
                   {"artefacts", artefacts}};
  if (receipt.kind == wire::ReceiptKind::erasure) document["missing"] = reply.missing;
  return document;
}

void print_items(const std::vector<wire::ReceiptItem>& items) {
  Table versions({"model", "node", "version", "artefact", "size"});
  Table artefacts({"artefact", "size"});
  for (const auto& item : items) {
    if (item.is_artefact) {
      artefacts.add({item.artefact.hex(), bytes_text(item.bytes)});
    } else {
      versions.add({item.model, partition_text(item.partition), item.version.text(), item.artefact.hex().substr(0, 12),
                    bytes_text(item.bytes)});
    }
  }
  if (versions.rows() > 0) print_line(versions.text());
  if (artefacts.rows() > 0) print_line(artefacts.text());
}

void print_summary(const wire::ReceiptReply& reply) {
  const wire::Receipt& receipt = reply.receipt;
  const std::string what = count_text(receipt.versions) + " versions, " + count_text(receipt.artefacts) +
                           " artefacts, " + bytes_text(receipt.artefact_bytes);
  if (receipt.dry_run) {
    const bool is_erasure = receipt.kind == wire::ReceiptKind::erasure;
    print_line("would go: " + what + (is_erasure ? ", " + count_text(receipt.records) + " records" : "") +
               "; nothing was changed");
    return;
  }
  if (receipt.kind == wire::ReceiptKind::import) {
    print_line("imported: " + count_text(receipt.versions) + " versions, " + count_text(receipt.records) + " records");
    print_line("receipt  " + receipt.receipt.text() + ", " + time_text(receipt.started_us) + " by " +
               receipt.principal);
    return;
  }
  print_line((receipt.kind == wire::ReceiptKind::erasure ? "erased: " : "collected: ") + what);
  if (receipt.kind == wire::ReceiptKind::erasure) print_line("records  " + count_text(receipt.records));
  print_line("on disk  " + bytes_text(receipt.disk_before) + " before, " + bytes_text(receipt.disk_after) + " after");
  print_line("receipt  " + receipt.receipt.text() + ", " + time_text(receipt.started_us) + " by " + receipt.principal);
  for (const std::string& shard : reply.missing) print_line("shard " + shard + " has not acknowledged it yet");
}

}  // namespace

Result<Uuid> parse_receipt(const std::string& text) {
  auto receipt = Uuid::parse(text);
  if (!receipt.ok()) return receipt.status().at("receipt");
  return receipt;
}

Result<wire::ReceiptReply> finished_receipt(client::RegistryClient& registry, const std::string& tenant,
                                            const Uuid& receipt) {
  std::string said;
  for (;;) {
    ASSIGN_OR_RETURN(auto reply, registry.call(wire::ReceiptRequest{tenant, receipt, kWaitUs}));
    if (reply.receipt.finished_us != 0) return reply;
    if (!reply.receipt.waits_for.empty() && reply.receipt.waits_for != said) {
      said = reply.receipt.waits_for;
      std::fprintf(stderr, "espalier: it waits, and is tried again: %s\n", said.c_str());
    }
  }
}

Result<std::string> wrong_items(client::RegistryClient& registry, const wire::Receipt& receipt) {
  Hash256 digest;
  std::uint64_t artefacts = 0, bytes = 0;
  wire::ReceiptItemsRequest request{receipt.tenant, receipt.receipt, {}};
  do {
    ASSIGN_OR_RETURN(auto page, registry.call(request));
    if (!page.items.empty()) {
      digest = blake2b_256(std::string(digest.view()).append(wire::encode_array(page.items)));
    }
    for (const auto& item : page.items) {
      artefacts += item.is_artefact ? 1 : 0;
      bytes += item.is_artefact ? item.bytes : 0;
    }
    request.cursor = std::move(page.cursor);
  } while (!request.cursor.empty());
  if (digest != receipt.items) return std::string("the receipt's items don't have its hash");
  if (artefacts != receipt.artefacts || bytes != receipt.artefact_bytes) {
    return std::string("the receipt counts other artefacts than it names");
  }
  return std::string();
}

Status print_receipt(client::RegistryClient& registry, const wire::ReceiptReply& reply, bool list, bool as_json) {
  std::vector<wire::ReceiptItem> items;
  if (list || as_json) {
    ASSIGN_OR_RETURN(items, items_of(registry, reply.receipt));
  }
  if (as_json) {
    print_json(receipt_json(reply, items));
    return {};
  }
  if (list) print_items(items);
  print_summary(reply);
  return {};
}

}  // namespace espalier::cli
