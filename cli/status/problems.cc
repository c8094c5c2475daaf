#include "cli/status/problems.h"

#include <algorithm>
#include <map>
#include <set>

#include "cli/output.h"

namespace espalier::cli {
namespace {

std::string name_of(const Asked& asked) {
  return asked.role == "registry" ? "the registry" : asked.role + " " + asked.name;
}

std::string with_count(std::uint64_t count, const std::string& one, const std::string& many) {
  return count_text(count) + " " + (count == 1 ? one : many);
}

std::uint64_t count_of(const std::vector<wire::ReasonCount>& reasons, wire::Reason reason) {
  std::uint64_t count = 0;
  for (const wire::ReasonCount& each : reasons) count += each.reason == reason ? each.count : 0;
  return count;
}

/// In order: what is looked at first is the worst.
class Finder {
 public:
  explicit Finder(const Evidence& evidence) : evidence_(evidence) {}

  std::vector<Problem> find() {
    look_who_answers();
    look_at_disks();
    look_at_shards_that_are_away();
    look_at_keys();
    look_at_clocks();
    look_at_answers();
    look_who_is_behind();
    look_at_what_processes_say();
    look_at_budgets();
    look_at_versions();
    std::ranges::stable_sort(problems_, {}, &Problem::is_warning);
    return std::move(problems_);
  }

 private:
  void add(const std::string& kind, const std::string& about, const std::string& what, const std::string& remedy) {
    problems_.push_back({kind, about, what, remedy});
  }
  void warn(const std::string& kind, const std::string& about, const std::string& what, const std::string& remedy) {
    problems_.push_back({kind, about, what, remedy, true});
  }

  /// Every process that answers.
  template <class Visit>
  void for_each_that_answers(const Visit& visit) const {
    if (evidence_.registry.answers()) visit(evidence_.registry);
    for (const AskedRouter& router : evidence_.routers)
      if (router.asked.answers()) visit(router.asked);
    for (const AskedShard& shard : evidence_.shards)
      if (shard.asked.answers()) visit(shard.asked);
  }

  void look_at_reach(const Asked& asked, const std::string& consequence) {
    const std::string about = name_of(asked);
    switch (asked.reach) {
      case Reach::answers: return;
      case Reach::gone:
        return add(asked.role + "_dead", about, "nobody listens at its endpoint: " + consequence,
                   "start it again; its log says why it ended");
      case Reach::silent:
        return add(asked.role + "_hung", about, "takes connections and answers nothing: " + consequence,
                   "look whether it is stopped (ps: state T), waits for a disk (state D) or lacks processor time; "
                   "restart it if it stays so");
      case Reach::away:
        return add(asked.role + "_unreachable", about, "no connection to it: " + consequence,
                   "look at its machine, and at the network and firewalls on the way there");
      case Reach::barred:
        return add("key_refused", about, "refuses the key that asks: " + asked.why,
                   "ask with a key that may run the cluster: --key FILE; `espalier keys list` says who may what");
    }
  }

  void look_who_answers() {
    look_at_reach(evidence_.registry, "no change is taken; predictions go on");
    if (evidence_.routers.empty())
      add("router_dead", "routers", "none is known", "name them under \"router\" in cluster.json");
    for (const AskedRouter& router : evidence_.routers) {
      look_at_reach(router.asked, "its clients go to the others, if there are any");
      if (router.asked.answers()) look_at_its_shards(router);
    }
  }

  void look_at_its_shards(const AskedRouter& router) {
    const bool some_answer =
        std::ranges::any_of(evidence_.shards, [](const auto& shard) { return shard.asked.answers(); });
    const bool reaches_some =
        std::ranges::any_of(router.status.shards, [](const auto& shard) { return shard.answering > 0; });
    if (router.status.shards.empty()) {
      add("router_without_shards", name_of(router.asked),
          "the view that it goes by has no shard: it refuses every request",
          "start shards that name this registry (--registry); `espalier shards` lists those in the view");
    } else if (!reaches_some && some_answer) {
      add("router_without_shards", name_of(router.asked),
          "reaches none of " + with_count(router.status.shards.size(), "shard", "shards") +
              ", some of which answer here",
          "look at the network between its machine and theirs, and whether its key counts (`espalier keys list`)");
    }
  }

  void look_at_disks() {
    const auto look = [&](const Asked& asked) {
      const wire::Health& health = asked.health;
      const std::string about = name_of(asked);
      const bool is_registry = asked.role == "registry";
      if (health.is_disk_read_only) {
        full_.insert(&asked);
        add(asked.role + "_read_only", about,
            std::string("the file system of its folder is mounted read-only: ") +
                (is_registry ? "no change is taken" : "nothing new is taken in"),
            "see dmesg for a fault of the disk, then mount -o remount,rw; it goes on by itself");
        return;
      }
      const bool lacks_space = std::ranges::any_of(health.problems, [](const wire::HealthProblem& problem) {
        return problem.detail.find("resource_exhausted") != std::string::npos;
      });
      if (health.disk_size == 0 || (health.disk_free >= kFullDiskBytes && !lacks_space)) return;
      full_.insert(&asked);
      add("disk_full", about,
          "its disk has " + bytes_text(health.disk_free) + " free of " + bytes_text(health.disk_size) + ": " +
              (is_registry ? "changes are refused" : "it keeps what it has and takes in nothing new"),
          is_registry ? "make room there; `espalier collect` gives back what no rule keeps; it goes on by itself"
                      : "make room there, or start it with a smaller --disk-budget; it goes on by itself");
    };
    for_each_that_answers(look);
    const wire::Health& health = evidence_.registry.health;
    const bool writes =
        std::ranges::none_of(health.problems, [](const auto& each) { return each.kind == "not_writing"; });
    if (evidence_.registry.answers() && !writes && full_.empty()) {
      add("registry_read_only", "the registry", "takes no change since a write failed: predictions go on",
          "its log names the failure; a change that is tried again takes it up once the disk does");
    }
  }

  void look_at_shards_that_are_away() {
    for (const AskedShard& shard : evidence_.shards) {
      look_at_reach(shard.asked, shard.state != cluster::ShardState::gone ? "others answer for it"
                                 : shard.is_in_view                       ? "its lease has ended; others answer for it"
                                                    : "it has left the view; others have what it held");
    }
  }

  void look_at_keys() {
    if (!evidence_.keys) return;
    for (const wire::KeyRecord& key : *evidence_.keys) {
      if (key.revoked_us != 0 || key.expires_us == 0) continue;
      const std::string about = "key " + key.name;
      const std::int64_t left_us = key.expires_us - evidence_.wall_us;
      const std::string who = "its holder, " + (key.roles.empty() ? std::string("who may nothing") : key.roles.front());
      if (left_us <= 0 && left_us > -kKeyEndedLongAgoUs) {
        add("key_expired", about, "ended at " + time_text(key.expires_us) + " UTC: " + who + ", is shut out",
            "`espalier keys create` makes its holder a new one, or `espalier keys revoke " + key.name +
                "` says that it is to stay out");
      } else if (left_us > 0 && left_us < kKeyEndsSoonUs) {
        warn("key_expiring", about, "ends at " + time_text(key.expires_us) + " UTC",
             "`espalier keys create` makes its holder a new one before that");
      }
    }
  }

  /// Whose clock differs from most others', this machine's among them.
  void look_at_clocks() {
    std::vector<std::int64_t> all = {0};
    for_each_that_answers([&](const Asked& asked) { all.push_back(asked.clock_off_us); });
    std::ranges::sort(all);
    const std::int64_t most = all[all.size() / 2];
    const auto is_off = [&](std::int64_t off_us, std::int64_t slack_us) {
      return std::abs(off_us - most) > kClockOffUs + slack_us;
    };
    const auto add_off = [&](const std::string& about, std::int64_t off_us) {
      const std::int64_t us = off_us - most;
      add("clock_off", about,
          "its clock is " + age_text(std::abs(us)) + (us > 0 ? " ahead" : " behind") +
              " of the others': times in records, and when keys end, are wrong by that",
          "look at the time service of that machine: timedatectl, chronyc tracking");
    };
    if (is_off(0, 0)) add_off("this machine", 0);
    for_each_that_answers([&](const Asked& asked) {
      if (is_off(asked.clock_off_us, asked.clock_slack_us)) add_off(name_of(asked), asked.clock_off_us);
    });
  }

  struct Fallback {
    const char *kind, *what, *remedy;
  };
  static Fallback fallback_of(wire::Reason reason) {
    using wire::Reason;
    switch (reason) {
      case Reason::corrupt:
        return {"corrupt_pack", "damaged",
                "it fetches them anew by itself; if that doesn't help, `espalier registry check` and the disk's health "
                "(smartctl)"};
      case Reason::cold:
        return {"cold_storm", "not there yet",
                "its log says what it can't fetch; while it starts or the registry is away this passes by itself"};
      case Reason::quarantined:
        return {"quarantined", "in quarantine", "release a version that is sound, or `espalier quarantine --lift`"};
      case Reason::over_budget:
        return {"over_budget", "left out for the budget",
                "give the shard more --memory-budget or --disk-budget, or add shards"};
      default: return {"fallback", "not ready", "its log says which artefacts could not be taken in, and why"};
    }
  }

  void look_at_answers() {
    for (const wire::Reason reason :
         {wire::Reason::corrupt, wire::Reason::cold, wire::Reason::previous, wire::Reason::overlay_not_ready,
          wire::Reason::quarantined, wire::Reason::over_budget}) {
      for (const AskedShard& shard : evidence_.shards) {
        if (shard.asked.answers()) look_at_reason(shard, reason);
      }
    }
  }

  void look_at_reason(const AskedShard& shard, wire::Reason reason) {
    const Fallback fallback = fallback_of(reason);
    // What is damaged and can't be fetched anew isn't there.
    if (reason == wire::Reason::cold && damaged_.contains(&shard)) return;
    std::uint64_t answered = 0, unexpected = 0;
    for (const wire::FallbackAlert& alert : shard.status.alerts) {
      if (alert.reason != reason) continue;
      answered += alert.answered;
      unexpected += alert.unexpected;
    }
    if (reason == wire::Reason::corrupt && unexpected > 0) damaged_.insert(&shard);
    const std::uint64_t nodes = count_of(shard.status.not_ready, reason);
    const std::string of = with_count(nodes, "node of it is ", "nodes of it are ") + fallback.what;
    if (unexpected > 0) {
      add(fallback.kind, name_of(shard.asked),
          "others answered " + with_count(unexpected, "part", "parts") + " of the last " + count_text(answered) +
              " for nodes that are " + fallback.what + (nodes > 0 ? "; " + of : ""),
          fallback.remedy);
    } else if (reason == wire::Reason::corrupt && nodes > 0) {
      add(fallback.kind, name_of(shard.asked), of, fallback.remedy);
    }
  }

  /// Who is behind though the registry answers.
  void look_who_is_behind() {
    if (!evidence_.registry.answers()) return;
    const auto look = [&](const Asked& asked, std::uint64_t epoch) {
      if (!asked.answers() || asked.health.behind_us < kStuckUs || full_.contains(&asked)) return;
      const std::uint64_t newest = std::max(evidence_.status.epoch, asked.health.newest);
      const std::string lag = newest > epoch ? ", " + with_count(newest - epoch, "change", "changes") + " behind" : "";
      add("epoch_stuck", name_of(asked),
          "has not taken in the registry's changes for " + age_text(asked.health.behind_us) +
              ": it answers from epoch " + std::to_string(epoch) + lag,
          "look at the network between it and the registry, whether its key counts, and at its log");
    };
    for (const AskedShard& shard : evidence_.shards) look(shard.asked, shard.status.epoch);
    for (const AskedRouter& router : evidence_.routers) look(router.asked, router.status.epoch);
    for (const AskedShard& shard : evidence_.shards) {
      const bool is_stuck = shard.asked.health.behind_us >= kStuckUs;
      if (!shard.asked.answers() || shard.state != cluster::ShardState::gone || is_stuck) continue;
      add("lease_lost", name_of(shard.asked), "answers, but the registry has not heard of it in time: it is asked last",
          "look whether its machine is overloaded; it comes back by itself");
    }
  }

  void look_at_what_processes_say() {
    static const std::map<std::string, std::string> kRemedies = {
        {"view_waits", "its log says which shard it waits for"},
        {"job_waits", "its log names the record that it can't read; `espalier registry check` looks at all of them"},
        {"unsaved", "look at its disk: until then a restart would fall behind"},
        {"space_waits", "look at its disk"},
        {"not_joined", "look at its name and key: another process may have its place"},
        {"over_memory_budget", "give it more --memory-budget, or add shards"},
        {"over_disk_budget", "give it more --disk-budget, or add shards"},
        {"not_taking_in", "its log says what it could not take in"},
    };
    for_each_that_answers([&](const Asked& asked) {
      for (const wire::HealthProblem& problem : asked.health.problems) {
        const auto remedy = kRemedies.find(problem.kind);
        // What was named above, by its cause.
        const bool is_told =
            full_.contains(&asked) || problem.kind == "not_writing" ||
            (problem.kind == "not_taking_in" && (asked.health.behind_us >= kStuckUs || !evidence_.registry.answers()));
        if (!is_told)
          warn(problem.kind, name_of(asked), problem.detail,
               remedy == kRemedies.end() ? "see its log" : remedy->second);
      }
    });
  }

  void look_at_budgets() {
    for_each_that_answers([&](const Asked& asked) {
      const wire::Health& health = asked.health;
      const auto part =
          static_cast<double>(health.disk_free) / static_cast<double>(std::max<std::uint64_t>(health.disk_size, 1));
      if (health.disk_size > 0 && part < kNearlyFull && !full_.contains(&asked)) {
        warn("disk_near", name_of(asked),
             "its disk has " + bytes_text(health.disk_free) + " free of " + bytes_text(health.disk_size),
             "make room there");
      }
    });
    for (const AskedShard& shard : evidence_.shards) {
      if (shard.asked.answers() && shard.status.is_starting) {
        warn("shard_starting", name_of(shard.asked), "refuses predictions while it starts",
             "wait; its log says how far it is");
      }
    }
  }

  void look_at_versions() {
    std::map<std::string, std::string> by_version;
    for_each_that_answers([&](const Asked& asked) {
      std::string& names = by_version[asked.version];
      names += (names.empty() ? "" : ", ") + name_of(asked);
    });
    if (by_version.size() < 2) return;
    std::string what;
    for (const auto& [version, names] : by_version) what += (what.empty() ? "" : "; ") + version + ": " + names;
    warn("versions_differ", "versions", what, "finish the upgrade: registry first, then shards, then routers");
  }

  const Evidence& evidence_;
  std::set<const Asked*> full_;  ///< whose disk is full or read-only
  std::set<const AskedShard*> damaged_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> problems_of(const Evidence& evidence) { return Finder(evidence).find(); }

}  // namespace espalier::cli
