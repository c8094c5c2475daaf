// What `espalier status` found out: what every process of the cluster said of itself, or that it said nothing.
//
// Thread safety: values. Nothing here fails: who doesn't answer is part of what was found out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cluster/view.h"
#include "common/status.h"
#include "wire/health_messages.h"
#include "wire/key_messages.h"
#include "wire/shard_status_messages.h"
#include "wire/status_messages.h"

namespace espalier::cli {

/// Whether somebody is there who doesn't answer.
enum class Reach {
  answers,
  silent,  ///< takes connections and says nothing: it hangs
  gone,    ///< nobody listens there
  away,    ///< no connection within the time: its machine or the way to it
  barred,  ///< answers that this key may not ask
};

/// One process that was asked.
struct Asked {
  std::string role;  ///< "registry", "router", "shard"
  std::string name;
  std::vector<std::string> endpoints;
  Reach reach = Reach::away;
  std::string why;                  ///< reach isn't answers: in words
  std::string version;              ///< of Espalier
  std::int64_t clock_off_us = 0;    ///< its clock on the wall less this machine's
  std::int64_t clock_slack_us = 0;  ///< what that may be wrong by: the time that the answer took
  wire::Health health;              ///< reach answers

  bool answers() const { return reach == Reach::answers; }
};

struct AskedShard {
  Asked asked;
  cluster::ShardState state = cluster::ShardState::serving;  ///< as the view says
  bool is_in_view = false;
  wire::ShardStatusReply status;
};

struct AskedRouter {
  Asked asked;
  wire::RouterStatusReply status;
  double rate = 0;  ///< requests a second, while it was looked
};

struct Evidence {
  std::int64_t wall_us = 0;  ///< this machine's clock
  Asked registry;
  wire::StatusReply status;
  std::optional<std::vector<wire::KeyRecord>> keys;  ///< nothing: not known
  std::vector<AskedRouter> routers;
  std::vector<AskedShard> shards;
};

/// Asks everybody at once; whoever has said nothing after two seconds doesn't answer. failed_precondition: no cluster.
Result<Evidence> gather_evidence(const Shared& shared);

}  // namespace espalier::cli
