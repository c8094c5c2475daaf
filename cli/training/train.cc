#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/cluster/child.h"
#include "cli/cluster_folder.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "common/clock.h"
#include "common/signals.h"
#include "model/properties.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

/// What the trainer says, as a bar that is drawn over itself on a terminal and as plain lines elsewhere.
class Progress {
 public:
  explicit Progress(bool raw) : raw_(raw), terminal_(!raw && isatty(STDOUT_FILENO) == 1) {}

  /// One line of the trainer's output. Lines that are no JSON are passed on.
  void take(const std::string& line) {
    if (raw_) return print_line(line);
    const json said = json::parse(line, nullptr, false);
    if (!said.is_object()) return print_line(line);
    if (said.contains("done")) return finish(said);
    if (!said.contains("stage")) return;
    const std::string stage = said.value("stage", "");
    const std::string text = stage + details(said);
    if (said.contains("of") || said.contains("share"))
      draw(stage, share(said));
    else
      step(text);
  }
  /// Leaves the cursor on a line of its own.
  void close() {
    if (drawn_) std::fputs("\r\033[K", stdout);
    std::fflush(stdout);
    drawn_ = false;
  }

 private:
  static double share(const json& said) {
    if (said.contains("share")) return said.value("share", 0.0);
    const double of = said.value("of", 0.0);
    return of > 0 ? said.value("done_of", said.value("nodes", 0.0)) / of : 0;
  }

  static std::string details(const json& said) {
    std::string text;
    for (const auto& [key, value] : said.items()) {
      if (key == "stage" || key == "seconds" || value.is_structured()) continue;
      text += "  " + key + " " +
              (value.is_number_unsigned() ? count_text(value.get<std::uint64_t>())
               : value.is_number()        ? number_text(value.get<double>())
               : value.is_string()        ? value.get<std::string>()
                                          : value.dump());
    }
    if (said.contains("seconds")) text += "  " + seconds_text(said.value("seconds", 0.0));
    return text;
  }

  void draw(const std::string& stage, double share) {
    constexpr int kWidth = 40;
    if (!terminal_) return;
    const int full = static_cast<int>(std::clamp(share, 0.0, 1.0) * kWidth);
    std::printf("\r\033[K%-10s [%s%s] %3.0f %%", stage.c_str(),
                std::string(static_cast<std::size_t>(full), '#').c_str(),
                std::string(static_cast<std::size_t>(kWidth - full), '.').c_str(), std::clamp(share, 0.0, 1.0) * 100);
    std::fflush(stdout);
    drawn_ = true;
  }

  void step(const std::string& text) {
    close();
    print_line(text);
  }

  void finish(const json& said) {
    close();
    const std::uint64_t nodes = said.value("nodes", std::uint64_t{0});
    std::string line = "published " + count_text(nodes) + (nodes == 1 ? " node" : " nodes");
    if (said.contains("release") && said["release"].is_string())
      line += " as release " + said["release"].get<std::string>();
    if (said.contains("seconds")) line += " in " + seconds_text(said.value("seconds", 0.0));
    print_line(line);
    for (const json& tenant : said.value("tenants", json::array()))
      if (tenant.is_object()) print_tenant(tenant);
  }
  static void print_tenant(const json& tenant) {
    print_line("  " + tenant.value("tenant", "") + ": " + tenant.value("release", "") +
               (tenant.contains("nodes") ? ", " + count_text(tenant.value("nodes", std::uint64_t{0})) + " nodes" : ""));
    if (tenant.contains("run")) print_line("    run " + tenant.value("run", ""));
  }

  const bool raw_;
  const bool terminal_;
  bool drawn_ = false;
};

std::vector<std::string> arguments_of(const TrainOptions& options, const ClusterFile& cluster, const Shared& shared) {
  std::vector<std::string> arguments = {"--spec", options.spec, "--data", options.data, "--tag", options.tag};
  for (const std::string& endpoint : cluster.registry) arguments.insert(arguments.end(), {"--registry", endpoint});
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {name, value});
  };
  add("--key", shared.key);
  if (may_be_insecure(shared, cluster)) arguments.emplace_back("--insecure");
  add("--where", options.where);
  add("--tenant", options.tenant);
  add("--tenant-column", options.tenant_column);
  add("--run-name", options.run_name);
  add("--description", options.description);
  for (const std::string& property : options.properties) arguments.insert(arguments.end(), {"--property", property});
  add("--if-release", options.if_release);
  if (options.threads > 0) add("--threads", std::to_string(options.threads));
  if (options.wait) arguments.emplace_back("--wait");
  return arguments;
}

}  // namespace

Status run_train(const TrainOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(shared.cluster));
  if (cluster.registry.empty()) return failed_precondition("the cluster in " + shared.cluster + " has no registry");
  RETURN_IF_ERROR(model::parse_properties(options.properties).status());
  RETURN_IF_ERROR(model::check_description(options.description));
  StopSignals stop;
  ASSIGN_OR_RETURN(Child trainer, Child::start(sibling_program("espalier-trainer"),
                                               arguments_of(options, cluster, shared), "", SIGTERM));
  Progress progress(shared.json);
  bool was_published = false;
  for (;;) {
    auto line = trainer.read_line(-1, stop.fd());
    if (!line.ok()) break;
    was_published = was_published || line->find(R"("stage":"published")") != std::string::npos;
    progress.take(*line);
  }
  progress.close();
  if (stop.requested()) {
    trainer.signal(SIGTERM);
    trainer.wait(10'000);
    return unavailable("stopped; nothing was published unless the trainer said so");
  }
  trainer.wait(-1);
  if (trainer.exit_code() == 0) return Status();
  // The trainer has said on stderr what was wrong.
  return trainer.exit_code() == 2 ? invalid_argument("the trainer was called wrongly")
         : was_published          ? failed_precondition("the release is published, but not served everywhere")
                                  : failed_precondition("training failed (" + *trainer.ended() + ")");
}

}  // namespace espalier::cli
