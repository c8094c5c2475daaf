// The header of a prediction on its way through router and shard: the same messages as PredictRequest and PredictReply
// in messages.h, read into views and written piece by piece, so that a request costs no allocation once the buffers are
// warm.
//
// Thread safety: values and pure functions. Ownership: a PredictHeader borrows from the frame that it was read from.
// Errors: invalid_argument names the place ("parts[3].rows: expected an unsigned integer, got text"); unimplemented:
// more than one ref.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "common/uuid.h"
#include "wire/messages.h"

namespace espalier::wire {

/// What a request may have; more is invalid_argument. Levels and bytes of a level value as in model/ids.h.
inline constexpr std::uint32_t kMaxRowsPerRequest = 1u << 20;
inline constexpr std::size_t kMaxPartitionLevels = 8;
inline constexpr std::size_t kMaxLevelValueBytes = 256;
inline constexpr std::size_t kMaxUnitBytes = 256;

/// A PredictRequest read in place. Reuse one: its vectors keep their memory.
struct PredictHeader {
  struct Part {
    std::uint32_t first_level = 0;  ///< its level values are level_values[first_level, first_level + levels)
    std::uint32_t levels = 0;
    std::uint32_t rows = 1;
    std::string_view unit;
    std::string_view raw;  ///< the part's own msgpack, for passing on
  };

  std::string_view tenant;
  std::string_view model;
  std::string_view principal;
  std::vector<std::string_view> refs;
  std::int64_t budget_us = kDefaultBudgetUs;
  bool all_scores = false;
  std::uint64_t min_epoch = 0;
  Uuid prediction;
  std::uint32_t attempt = 1;
  std::int64_t sent_us = 0;
  std::string_view shard;
  bool stand_in = false;  ///< from a router: those that hold the parts are away
  bool trace = false;     ///< the reply is to say where the time went (wire/trace.h)
  std::vector<Part> parts;
  std::vector<std::string_view> level_values;

  std::span<const std::string_view> partition(const Part& part) const {
    return {level_values.data() + part.first_level, part.levels};
  }
  /// The ref asked for, "tag:production" where none is given.
  std::string_view ref() const { return refs.empty() ? std::string_view("tag:production") : refs.front(); }
  void clear();
};

/// True: peek_op() says "predict". False: that is for it to say.
bool begins_as_predict(std::string_view header);

/// Reads a request's header; `into` is overwritten. tenant, model and at least one part are there afterwards, each part
/// with at least one row. "v" and "op" are peek_op()'s matter.
Status decode_predict(std::string_view header, PredictHeader& into);

/// Writes `header` with those of its parts that `parts` names by index, in that order; `to` is overwritten. What a
/// client left out stays out.
void encode_predict(const PredictHeader& header, std::span<const std::uint32_t> parts, std::string& to);
/// The same with all parts.
void encode_predict(const PredictHeader& header, std::string& to);

/// Provenance as the shard has it at hand. Members as in Provenance.
struct ProvenanceView {
  std::span<const std::string_view> asked;
  std::size_t served_levels = 0;  ///< the node that answered is asked[0, served_levels)
  std::string_view level;
  Reason reason = Reason::exact;
  Uuid version;
  std::string_view tag;
  Uuid release;
  std::uint64_t release_epoch = 0;
  std::string_view arm;
  bool exposed = false;
  std::uint64_t epoch = 0;
  std::string_view shard;
  Uuid prediction;
  std::uint32_t attempt = 1;
};

/// The header of a PredictReply whose request as a whole is ok (encode_error() is for the others):
///
///   begin_reply(header, parts); then append_answered() or append_failed() once a part, in order.
void begin_reply(std::string& to, std::uint32_t parts);
void append_answered(std::string& to, std::uint32_t rows, const ProvenanceView& provenance);
/// REQUIRES: code is not ok.
void append_failed(std::string& to, std::uint32_t rows, Code code, std::string_view message);

/// Says of a finished reply that a part of it failed with no_model because this shard doesn't hold what is wanted yet,
/// or holds it damaged: the router then asks another replica.
void mark_unready(std::string& header);
bool is_unready(std::string_view header);
/// REQUIRES: is_unready(header)
void unmark_unready(std::string& header);

/// The parts of a reply, each as its own msgpack, without looking into them; `parts` is overwritten.
/// The reply's own failure where it is not ok; corrupt: not a reply.
Status split_reply(std::string_view header, std::vector<std::string_view>& parts);
/// The status of one of the parts that split_reply() gave; corrupt where it can't be read.
Code peek_part_status(std::string_view part);
/// begin_reply() with parts that are msgpack already; `to` is overwritten.
void assemble_reply(std::span<const std::string_view> parts, std::string& to);

}  // namespace espalier::wire
