// The options of the commands in status_commands.h.
#include "cli/command_options.h"
#include "cli/status/status_commands.h"

namespace espalier::cli {

void add_status_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* status = app.add_subcommand("status", "What is wrong with the cluster, the worst first, and what to do");
  status->callback([&shared, &chosen] { chosen = [&shared] { return run_status(shared); }; });

  auto* top = app.add_subcommand("top", "Who asks how much, how fast and with what outcome, live");
  const auto options = options_of(*top, shared, chosen, run_top);
  top->add_option("--by", options->by, "tenant, model, shard or version")
      ->capture_default_str()
      ->check(CLI::IsMember({"tenant", "model", "shard", "version"}));
  top->add_option("--sort", options->sort, "rate, p50, p99, fallback, errors or name")
      ->capture_default_str()
      ->check(CLI::IsMember({"rate", "p50", "p99", "fallback", "errors", "name"}));
  top->add_option("--interval", options->interval, "Seconds between two looks")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  top->add_option("--limit", options->limit, "Rows")->capture_default_str()->check(CLI::Range(1u, 256u));
  top->add_flag("--once", options->once, "One table, then end");
}

}  // namespace espalier::cli
