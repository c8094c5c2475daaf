// What the registry keeps and for how long: retention rules, collections of what they give up, the erasure of a tenant,
// and the receipts of both. docs/space.md has the rules. As messages.h: twin of docs/wire-protocol/space.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/messages.h"

namespace espalier::wire {

/// Which versions of a model a collection leaves alone: those that any of these keeps. What a tag names now is always
/// kept.
struct RetentionRule {
  bool keep_all = true;             ///< no version is ever given up; the other members are then at their defaults
  std::uint32_t keep_last = 0;      ///< the newest so many of each node
  bool keep_tagged = false;         ///< what a tag has ever named
  std::vector<std::string> tagged;  ///< ... one of these tags; empty: any tag
  std::uint32_t keep_days = 0;      ///< made, or named by a tag at any moment, within the last so many days
  // Set by the registry.
  std::string principal;
  std::int64_t time_us = 0;
  std::uint64_t epoch = 0;  ///< of the commit that set it; 0: nobody ever set one
};
/// The model's rule and those that it had before, newest first.
struct RetentionRequest {
  std::string tenant, model;
  static constexpr std::string_view op = "retention";
};
struct SetRetentionRequest {
  Uuid idem;
  std::string tenant, model;
  RetentionRule rule;
  static constexpr std::string_view op = "set_retention";
};
struct RetentionReply {
  std::vector<RetentionRule> rules;
};

/// Gives up what the rules of the tenant's models (or of one) don't keep, and what was uploaded and never named.
/// Answers when it is written down that this is to be done; the registry does it beside its other work, also after a
/// restart. `receipt` names it. With dry_run: finds out what would go, and changes nothing.
struct CollectRequest {
  Uuid idem;
  std::string tenant, model;
  Uuid receipt;
  bool dry_run = false;
  static constexpr std::string_view op = "collect";
};
/// Removes a tenant with all that it has. As CollectRequest.
struct EraseRequest {
  Uuid idem;
  std::string tenant;
  Uuid receipt;
  bool dry_run = false;
  static constexpr std::string_view op = "erase";
};
struct StartedReply {
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;  ///< erasure: of the change that tells shards
  Uuid receipt;
};

/// import: `versions` and `records` are what came; what came without artefact names the receipt.
enum class ReceiptKind : std::uint8_t { collection = 0, erasure = 1, import = 2 };
struct Receipt {
  Uuid receipt;
  ReceiptKind kind = ReceiptKind::collection;
  std::string tenant, model;  ///< model empty: all
  bool dry_run = false;
  std::string principal;
  std::int64_t started_us = 0;
  std::int64_t finished_us = 0;  ///< 0: under way
  std::uint64_t epoch = 0;       ///< of its start
  std::uint64_t versions = 0;    ///< collected, or erased
  std::uint64_t artefacts = 0;
  std::uint64_t artefact_bytes = 0;
  std::uint64_t records = 0;      ///< erasure: records removed, and entries of the change feed that were blanked
  std::uint64_t disk_before = 0;  ///< bytes of the tenant's packs
  std::uint64_t disk_after = 0;
  std::uint32_t chunks = 0;  ///< how many records its items are in
  Hash256 items;             ///< BLAKE2b-256 over those records in their order
  std::string waits_for;     ///< why it does not go on at the moment
};
/// Answers when the receipt is finished, or after wait_us.
struct ReceiptRequest {
  std::string tenant;
  Uuid receipt;
  std::int64_t wait_us = 0;
  static constexpr std::string_view op = "receipt";
};
struct ReceiptReply {
  Receipt receipt;
  std::vector<std::string> missing;  ///< erasure: shards of the view that have not acknowledged it
};

/// One version or artefact of a receipt.
struct ReceiptItem {
  bool is_artefact = false;
  std::string model;  ///< version only, like the next two
  std::vector<std::string> partition;
  Uuid version;
  Hash256 artefact;
  std::uint64_t bytes = 0;
};
struct ReceiptItemsRequest {
  std::string tenant;
  Uuid receipt;
  std::string cursor;
  static constexpr std::string_view op = "receipt_items";
};
struct ReceiptItemsReply {
  std::vector<ReceiptItem> items;
  std::string cursor;
};

/// Looks for anything that an erased tenant has left, in pages: the cursor is the reply's, until that is empty.
struct VerifyErasureRequest {
  std::string tenant;
  Uuid receipt;
  std::string cursor;
  static constexpr std::string_view op = "verify_erasure";
};
struct VerifyErasureReply {
  std::vector<std::string> left;  ///< what is still there, a line each
  std::uint64_t looked_at = 0;    ///< records, for this page
  std::string cursor;
};

}  // namespace espalier::wire
