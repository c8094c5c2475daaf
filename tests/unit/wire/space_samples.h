// The messages about what is kept and what goes, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/space_messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> space_messages(const Uuid& idem, const Uuid& receipt,
                                                                       const Hash256& hash) {
  constexpr std::int64_t kTime = 1'763'672'558'000'000;
  RetentionRule rule;
  rule.keep_all = false;
  rule.keep_last = 3;
  rule.keep_tagged = true;
  rule.tagged = {"production"};
  rule.keep_days = 30;
  const SetRetentionRequest set{idem, "acme", "total", rule};
  rule.principal = "local";
  rule.time_us = kTime;
  rule.epoch = 11;

  Receipt head;
  head.receipt = receipt;
  head.kind = ReceiptKind::erasure;
  head.tenant = "acme";
  head.model = "total";
  head.dry_run = true;
  head.principal = "local";
  head.started_us = kTime;
  head.finished_us = kTime + 1;
  head.epoch = 11;
  head.versions = 2;
  head.artefacts = 1;
  head.artefact_bytes = 704;
  head.records = 40;
  head.disk_before = 2 << 20;
  head.disk_after = 1 << 20;
  head.chunks = 1;
  head.items = hash;
  head.waits_for = "no space";
  const std::vector<ReceiptItem> items = {{false, "total", {"usa"}, idem, hash, 704}, {true, "", {}, {}, hash, 704}};
  return {
      {"retention.request", encode(RetentionRequest{"acme", "total"})},
      {"set_retention.request", encode(set)},
      {"retention.reply", encode_reply(Status(), RetentionReply{{rule}})},
      {"collect.request", encode(CollectRequest{idem, "acme", "total", receipt, true})},
      {"started.reply", encode_reply(Status(), StartedReply{1, 11, receipt})},
      {"receipt.request", encode(ReceiptRequest{"acme", receipt, 5'000'000})},
      {"receipt.reply", encode_reply(Status(), ReceiptReply{head, {"s1"}})},
      {"receipt_items.request", encode(ReceiptItemsRequest{"acme", receipt, "\x01\x02"})},
      {"receipt_items.reply", encode_reply(Status(), ReceiptItemsReply{items, "\x01\x02"})},
      {"erase.request", encode(EraseRequest{idem, "acme", receipt, true})},
      {"verify_erasure.request", encode(VerifyErasureRequest{"acme", receipt, "\x01\x02"})},
      {"verify_erasure.reply", encode_reply(Status(), VerifyErasureReply{{"table V: 3 records"}, 20'000, "\x01\x02"})}};
}

}  // namespace espalier::wire::samples
