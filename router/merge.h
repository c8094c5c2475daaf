// The replies of several shards to the pieces of one request, put together in the order of its parts. Parts are moved
// as bytes: neither a provenance nor a prediction is looked into.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::router {

/// What one shard said to its piece, or why there is no answer.
struct PieceReply {
  std::span<const std::uint32_t> parts;  ///< of the request, by place
  Status status;                         ///< not ok: no usable reply
  std::string_view header;               ///< status ok: of its reply, which may itself be a failure
  std::size_t bodies = 0;                ///< body frames of its reply
};

/// Where a part's body is; piece kNone: an empty frame.
struct BodyPlace {
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::uint32_t piece = kNone;
  std::uint32_t body = 0;
};

struct Merged {
  std::string header;
  std::vector<BodyPlace> bodies;  ///< one a part; none when the request as a whole failed
};

/// `rows`: of each part of the request. Parts of a piece without usable reply have its failure as their status; where
/// no piece has a usable reply and all failed with one code, the request as a whole fails with it. REQUIRES: the
/// pieces' parts are the places of `rows`, each once.
Merged merge_replies(std::span<const PieceReply> pieces, std::span<const std::uint32_t> rows);

}  // namespace espalier::router
