#include "router/merge.h"

#include <algorithm>

#include "router/retry_policy.h"
#include "wire/messages.h"
#include "wire/predict_codec.h"

namespace espalier::router {
namespace {

/// The piece's parts, each as its own msgpack; or why they can't be used.
Status read_piece(const PieceReply& piece, std::vector<std::string_view>& parts) {
  if (!piece.status.ok()) return piece.status;
  RETURN_IF_ERROR(wire::split_reply(piece.header, parts));
  if (parts.size() != piece.parts.size() || piece.bodies != parts.size()) {
    return corrupt("a shard answered " + std::to_string(parts.size()) + " parts in " + std::to_string(piece.bodies) +
                   " bodies, asked for " + std::to_string(piece.parts.size()));
  }
  return {};
}

}  // namespace

Merged merge_replies(std::span<const PieceReply> pieces, std::span<const std::uint32_t> rows) {
  std::vector<std::string_view> in_order(rows.size());
  std::vector<std::string> failures(rows.size());
  std::vector<std::string_view> parts;
  Merged merged;
  merged.bodies.resize(rows.size());
  Status failed;
  bool fails_as_one = true;
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const PieceReply& piece = pieces[p];
    const Status status = read_piece(piece, parts);
    if (p > 0 && status.code() != failed.code()) fails_as_one = false;
    if (p == 0) failed = status;
    for (std::size_t i = 0; i < piece.parts.size(); ++i) {
      const std::uint32_t place = piece.parts[i];
      if (status.ok()) {
        in_order[place] = parts[i];
        merged.bodies[place] = {static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(i)};
      } else {
        wire::append_failed(failures[place], rows[place], status.code(), status.message());
        in_order[place] = failures[place];
      }
    }
  }
  if (fails_as_one && !failed.ok()) {
    merged.header = wire::encode_error(failed, retry_after_us(failed.code()));
    merged.bodies.clear();
    return merged;
  }
  wire::assemble_reply(in_order, merged.header);
  return merged;
}

}  // namespace espalier::router
