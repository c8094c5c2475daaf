// One client's request while the router waits for shards.
//
// Thread safety: the router's thread. Ownership: keeps the client's message until it is answered; while another shard
// may still be asked, what is sent on are second handles to its bodies' bytes. Keeps its memory for the next request in
// its slot.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "common/uuid.h"
#include "router/tenants.h"
#include "wire/socket.h"
#include "wire/trace.h"

namespace espalier::router {

/// Shards that placement names for one part, at most; those that may be asked in their stead; both.
inline constexpr std::size_t kMaxCandidates = 4;
inline constexpr std::size_t kMaxStandIns = 4;
inline constexpr std::size_t kMaxAsked = kMaxCandidates + kMaxStandIns;
/// Sendings of a piece, at most.
inline constexpr std::size_t kMaxAttempts = 8;

/// One sending of a piece to one shard.
struct Attempt {
  std::uint32_t backend = 0;
  std::uint32_t number = 0;  ///< of the message on its connection
  std::int64_t sent_us = 0;
  std::uint8_t place = 0;     ///< in Piece::shards
  bool is_open = false;       ///< no reply yet
  bool was_answered = false;  ///< with `code`, after `took_us`
  std::uint8_t code = 0;
  std::uint32_t took_us = 0;
};

/// The parts of a request that go to the same shards.
struct Piece {
  std::array<std::uint32_t, kMaxAsked> shards{};  ///< best placed first, then stand-ins
  std::array<bool, kMaxAsked> was_tried{};
  std::uint32_t shard_count = 0;
  std::uint32_t placed_count = 0;    ///< of these by placement; the others are stand-ins
  bool has_stand_ins = false;        ///< they were looked for
  std::uint32_t first = 0;           ///< place in `shards` of the one asked first
  std::vector<std::uint32_t> parts;  ///< places in the request, ascending; the only piece: empty, it has them all
  std::array<Attempt, kMaxAttempts> attempts;  ///< the first attempt_count were made
  std::uint32_t attempt_count = 0;
  bool is_done = false;
  Status failure;  ///< is_done without a reply
  /// Request id, header, bodies: is_done, of one of several pieces; before that, what a shard answered in part only, or
  /// that it knows of nothing.
  wire::Message reply;
  bool has_part = false;  ///< it is an answer in part

  std::span<Attempt> made() { return {attempts.data(), attempt_count}; }
};

/// What is known of a request's way besides: of one that is traced, or of which a shard says that it took long.
struct RequestNotes {
  struct Times {
    std::uint32_t piece = 0, attempt = 0;
    bool unready = false;
    wire::ShardTimes times;
  };
  bool is_traced = false;
  std::int64_t sent_us = 0;  ///< monotonic; when all its pieces had been sent
  std::vector<Times> times;
};

/// A request's pieces; most have one, which lies in the request itself.
class Pieces {
 public:
  Piece& operator[](std::size_t place) { return place == 0 ? first_ : others_[place - 1]; }
  const Piece& operator[](std::size_t place) const { return place == 0 ? first_ : others_[place - 1]; }
  std::size_t size() const { return others_.size() + 1; }
  /// Moves all but the first.
  void add() { others_.emplace_back(); }

 private:
  Piece first_;
  std::vector<Piece> others_;
};

struct Request {
  wire::Message message;            ///< as the client sent it: routing id … request id, header, bodies
  std::size_t id_at = 0;            ///< place of the request id in it
  std::vector<std::uint32_t> rows;  ///< of each part, where there are several pieces
  Uuid prediction;
  std::int64_t began_us = 0;  ///< when it was taken in
  std::int64_t deadline_us = 0;
  std::size_t bytes = 0;
  Tenant* tenant = nullptr;
  std::uint64_t work_us = 0;  ///< that it may take, of all its pieces
  Pieces pieces;              ///< the first piece_count are this request's
  std::uint32_t piece_count = 0;
  std::uint32_t open_pieces = 0;
  std::unique_ptr<RequestNotes> notes;  ///< null for most

  /// What the reply starts with.
  std::span<wire::Frame> envelope() { return {message.data(), id_at + 1}; }
  std::string_view header() const { return message[id_at + 1].view(); }
  std::span<wire::Frame> bodies() { return std::span(message).subspan(id_at + 2); }

  void clear() {
    message.clear();
    rows.clear();
    piece_count = 0;
    open_pieces = 0;
    notes.reset();
  }
  Piece& add_piece() {
    if (pieces.size() == piece_count) pieces.add();
    Piece& piece = pieces[piece_count++];
    piece.was_tried.fill(false);
    piece.shard_count = 0;
    piece.placed_count = 0;
    piece.has_stand_ins = false;
    piece.first = 0;
    piece.parts.clear();
    piece.attempt_count = 0;
    piece.is_done = false;
    piece.failure = {};
    piece.reply.clear();
    piece.has_part = false;
    return piece;
  }
};

}  // namespace espalier::router
