// Long reading of a running registry, a slice a request: sessions that keep a snapshot between requests.
//
// A session is begun by its step 0, under an id that the client chose. Each step gives the next slice; the step that
// was asked last may be asked again, which is what a client does that got no answer. A session that is not asked for a
// minute is over, as is one whose store was opened anew: its snapshot keeps files of the store from being removed.
//
// Thread safety: as the Registry. Errors: failed_precondition: there is no such session any more: begin anew;
// overloaded: too many at once; invalid_argument: a step out of turn.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/principal.h"
#include "registry/records.h"
#include "registry/upkeep/archive_source.h"
#include "registry/upkeep/check.h"
#include "wire/upkeep_messages.h"

namespace espalier::registry::upkeep {

class Upkeep {
 public:
  static constexpr std::size_t kMaxSessions = 2;
  static constexpr std::int64_t kIdleUs = 60'000'000;

  Upkeep(Records& records, const Clock& clock, std::int64_t slice_us)
      : records_(records), clock_(clock), slice_us_(slice_us) {}

  Result<wire::CheckReply> check(const Principal& principal, const wire::CheckRequest& request);
  Result<wire::ArchiveReply> archive(const Principal& principal, const wire::ArchiveRequest& request,
                                     std::vector<std::string_view>& bodies);
  /// Ends what was not asked for a minute.
  void drop_idle();
  /// As if none had been asked for in time.
  void drop_all() { sessions_.clear(); }

 private:
  struct Session {
    Uuid id;
    std::string principal, op;
    std::uint32_t next_step = 0;
    std::int64_t used_us = 0;
    std::unique_ptr<Check> check;  ///< nothing: it is done, the last reply is kept
    wire::CheckReply check_reply;
    std::unique_ptr<BlockSource> source;  ///< likewise
    wire::ArchiveReply archive_reply;
    std::vector<Block> blocks;  ///< of that reply
    bool is_done() const { return next_step > 0 && !check && !source; }
  };
  /// The session whose turn the step is, or that gave its reply last (`repeated`).
  Result<Session*> session(const Principal& principal, std::string_view op, const Uuid& id, std::uint32_t step,
                           bool& repeated);
  void end(const Session* session);
  Result<wire::CheckReply> check_on(Session& session);
  Result<wire::ArchiveReply> archive_on(Session& session, const wire::ArchiveRequest& request);

  Records& records_;
  const Clock& clock_;
  const std::int64_t slice_us_;
  std::list<Session> sessions_;
};

}  // namespace espalier::registry::upkeep
