// The messages of tags, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/quarantine_messages.h"
#include "wire/tag_messages.h"

namespace espalier::wire::samples {

/// `uuid`: by its last byte.
inline std::vector<std::pair<std::string, std::string>> tag_messages(Uuid (*uuid)(unsigned char)) {
  const RollbackTo to{uuid(3), 11, 1'763'672'558'000'000, "run = 'R17'"};
  const NodeDifference difference{
      {"usa", "ca"},
      {EntryKind::version, uuid(2), uuid(3), 1200, R"({"rmse":84.5})"},
      {EntryKind::unset, uuid(4), uuid(5), 1300, R"({"rmse":80.0})"},
      R"({"rmse":-4.5})",
  };
  const TagMovement movement{{"usa", "ca"}, EntryKind::removed, uuid(2), uuid(3), 11, 1'763'672'558'000'000, "local",
                             "weekly"};
  PromoteRequest promote{uuid(9), "acme", "total", "staging", "production", "archived", uuid(5), uuid(6), uuid(7)};
  promote.under = {"usa"};
  promote.keep = promote.replace = true;
  promote.note = "weekly";
  promote.expected_release = uuid(3);
  return {
      {"rollback.request",
       encode(RollbackRequest{uuid(9), "acme", "total", "production", uuid(5), to, {"usa"}, "back", uuid(4)})},
      {"rollback_preview.request",
       encode(RollbackPreviewRequest{"acme", "total", "production", to, {"usa"}, "\x01\x02", 10})},
      {"release_diff.request", encode(ReleaseDiffRequest{"acme", "total", uuid(3), uuid(5), {"usa"}, "\x01\x02", 10})},
      {"differences.reply", encode_reply(Status(), DifferencesReply{1, 11, {difference}, "\x01\x02"})},
      {"tag_history.request",
       encode(
           TagHistoryRequest{"acme", "total", "production", {"usa"}, true, 11, 1'763'672'558'000'000, "\x01\x02", 10})},
      {"tag_history.reply", encode_reply(Status(), TagHistoryReply{1, 11, {movement}, "\x01\x02"})},
      {"overlay.request", encode(OverlayRequest{uuid(9), "acme", "total", "canary", "production"})},
      {"quarantine.request", encode(QuarantineRequest{uuid(9), "acme", "total", uuid(2), true, "oops"})},
      {"promote.request", encode(promote)},
  };
}

}  // namespace espalier::wire::samples
