#include "cli/cluster/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/cluster/cluster_keys.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/files.h"

namespace espalier::cli {
namespace {

constexpr int kReadyTimeoutMs = 60'000;
constexpr int kEndTimeoutMs = 15'000;
constexpr std::size_t kLongestSocketPath = 100;  // the system's limit is 107 bytes
constexpr std::int64_t kFirstWaitUs = 100'000;
constexpr std::int64_t kLongestWaitUs = 5'000'000;
constexpr std::int64_t kHealthyUs = 60'000'000;

std::int64_t now_us() { return Clock::system().monotonic_us(); }

struct Addresses {
  std::vector<std::string> endpoints;
  std::string metrics;
};

// {"ready": "shard", "name": "s0", "endpoints": [...], "metrics": "127.0.0.1:9464"}
Result<Addresses> addresses_of(const std::string& line) {
  try {
    const auto ready = nlohmann::json::parse(line);
    Addresses addresses{ready.at("endpoints").get<std::vector<std::string>>(), ready.value("metrics", "")};
    if (addresses.endpoints.empty() || !ready.contains("ready")) return unavailable("it said: " + line);
    return addresses;
  } catch (const nlohmann::json::exception&) {
    return unavailable("it said: " + line);
  }
}

/// Whether the last of what it has said is {"drained": …}.
bool says_drained(Child& child) {
  std::string last;
  for (auto line = child.read_line(1000); line.ok(); line = child.read_line(1000)) last = *line;
  const auto said = nlohmann::json::parse(last, nullptr, false);
  return said.is_object() && said.contains("drained");
}

}  // namespace

Supervisor::Supervisor(const UpOptions& options, const StopSignals& stop, std::function<void(std::string_view)> say)
    : options_(options), stop_(stop), say_(std::move(say)) {}

Supervisor::~Supervisor() { stop_all(); }

Status Supervisor::start() {
  RETURN_IF_ERROR(make_folder());
  RETURN_IF_ERROR(wait_for_predecessor());
  choose_socket_folder();

  plan_registry();
  RETURN_IF_ERROR(start_planned(0));
  if (!options_.insecure) RETURN_IF_ERROR(make_keys());
  plan_shards(members_[0]->binds[0]);
  RETURN_IF_ERROR(start_planned(1));
  plan_routers(members_[0]->binds[0]);
  RETURN_IF_ERROR(start_planned(1 + options_.shards));
  return write_cluster_file();
}

Status Supervisor::make_folder() {
  ASSIGN_OR_RETURN(dir_, absolute_path(options_.dir));
  for (const char* folder : {"", "/registry", "/shards", "/routers", "/run", "/keys", "/log"})
    RETURN_IF_ERROR(Files::system().create_directories(dir_ + folder));
  // Whoever can reach a socket may ask anything, so the folder of the sockets is private; that of the keys anyway.
  for (const char* folder : {"/run", "/keys"}) {
    if (chmod((dir_ + folder).c_str(), 0700) != 0) return unavailable(dir_ + folder + ": " + system_error_text());
  }
  ASSIGN_OR_RETURN(lock_, FolderLock::take(dir_, "a cluster"));
  return Status();
}

// After a kill -9 of the `espalier up` before this one its processes may still be ending.
Status Supervisor::wait_for_predecessor() {
  auto before = read_cluster(dir_);
  if (!before.ok()) return Status();
  for (const ClusterProcess& process : before->processes) {
    auto name = Files::system().read("/proc/" + std::to_string(process.pid) + "/comm");
    if (!name.ok() || name->rfind("espalier-", 0) != 0) continue;
    const int end = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
    if (end < 0) continue;
    say_("waiting for " + process.name + " (process " + std::to_string(process.pid) + ") of the last run to end");
    pollfd waits[2] = {{end, POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
    const int ready = poll(waits, 2, kEndTimeoutMs);
    close(end);
    if (ready == 0)
      return failed_precondition(process.name + " (process " + std::to_string(process.pid) +
                                 ") of the last run is still there");
  }
  // Whoever looks for a cluster waits until the new one says where it is.
  return Files::system().remove(dir_ + "/cluster.json");
}

void Supervisor::choose_socket_folder() {
  socket_folder_ = dir_ + "/run";
  if ((socket_folder_ + "/registry.sock").size() + 16 <= kLongestSocketPath) return;
  std::string folder = (std::filesystem::temp_directory_path() / "espalier-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return;  // the bind then says what is wrong
  socket_folder_ = folder;
  socket_folder_is_ours_ = true;
}

std::vector<std::string> Supervisor::binds_for(const std::string& name, std::uint32_t count) const {
  std::vector<std::string> binds;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string number = count == 1 ? "" : "-" + std::to_string(i);
    binds.push_back(options_.tcp ? "tcp://127.0.0.1:*" : "ipc://" + socket_folder_ + "/" + name + number + ".sock");
  }
  return binds;
}

Supervisor::Member& Supervisor::plan(std::string role, std::string name, std::vector<std::string> arguments,
                                     std::vector<std::string> binds) {
  auto member = std::make_unique<Member>();
  member->program = sibling_program("espalier-" + role);
  member->role = std::move(role);
  member->name = std::move(name);
  member->arguments = std::move(arguments);
  member->arguments.insert(member->arguments.end(),
                           {"--log-format", options_.log_format, "--log-level", options_.log_level});
  member->binds = std::move(binds);
  if (options_.metrics) member->metrics = "127.0.0.1:0";
  members_.push_back(std::move(member));
  return *members_.back();
}

void Supervisor::plan_registry() {
  std::vector<std::string> arguments = {"--dir",          dir_ + "/registry",
                                        "--keep-changes", std::to_string(options_.keep_changes),
                                        "--lease-ms",     std::to_string(options_.lease_ms)};
  std::vector<std::string> binds = binds_for("registry", 1);
  if (options_.tcp) {
    add_key(arguments, "registry");
    // For whoever runs the cluster, without a key.
    if (!options_.insecure) binds.push_back("ipc://" + socket_folder_ + "/registry.sock");
  }
  plan("registry", "registry", std::move(arguments), std::move(binds));
}

/// What a process that others could connect to is started with.
void Supervisor::add_key(std::vector<std::string>& arguments, const std::string& name) const {
  if (options_.insecure) {
    arguments.emplace_back("--insecure");
  } else {
    arguments.insert(arguments.end(), {"--key", key_path(dir_ + "/keys", name)});
  }
}

Status Supervisor::make_keys() {
  std::vector<ClusterKey> keys = {{"admin", "admin"}};
  for (std::uint32_t i = 0; i < options_.shards && options_.tcp; ++i) keys.push_back({shard_name(i), "shard"});
  for (std::uint32_t i = 0; i < options_.routers; ++i) keys.push_back({router_name(i), "router"});
  ASSIGN_OR_RETURN(auto registry, client::RegistryClient::connect(members_[0]->binds));
  return make_cluster_keys(dir_ + "/keys", keys, *registry);
}

std::string Supervisor::shard_name(std::uint32_t number) { return "s" + std::to_string(number); }

std::string Supervisor::router_name(std::uint32_t number) const {
  return options_.routers == 1 ? "router" : "router" + std::to_string(number);
}

void Supervisor::plan_shards(const std::string& registry) {
  for (std::uint32_t i = 0; i < options_.shards; ++i) {
    const std::string name = shard_name(i);
    std::vector<std::string> arguments = {"--name",
                                          name,
                                          "--dir",
                                          dir_ + "/shards/" + name,
                                          "--registry",
                                          registry,
                                          "--verify",
                                          options_.verify,
                                          "--scrub-interval",
                                          std::to_string(options_.scrub_seconds),
                                          "--memory-budget",
                                          std::to_string(options_.memory_budget),
                                          "--disk-budget",
                                          std::to_string(options_.disk_budget)};
    if (options_.tcp) add_key(arguments, name);
    plan("shard", name, std::move(arguments), binds_for(name, options_.workers));
  }
}

void Supervisor::plan_routers(const std::string& registry) {
  for (std::uint32_t i = 0; i < options_.routers; ++i) {
    const std::string name = router_name(i);
    std::vector<std::string> arguments = {"--registry", registry, "--dir", dir_ + "/routers/" + name};
    add_key(arguments, name);
    plan("router", name, std::move(arguments), {"ipc://" + socket_folder_ + "/" + name + ".sock", "tcp://127.0.0.1:*"});
  }
}

// Starts all from `from` on, then waits for each: they get ready side by side.
Status Supervisor::start_planned(std::size_t from) {
  for (std::size_t i = from; i < members_.size(); ++i) RETURN_IF_ERROR(start_member(*members_[i]));
  for (std::size_t i = from; i < members_.size(); ++i) {
    Member& member = *members_[i];
    auto line = member.child.read_line(kReadyTimeoutMs, stop_.fd());
    auto addresses = line.ok() ? addresses_of(*line) : Result<Addresses>(line.status());
    if (!addresses.ok()) {
      if (stop_.requested()) return unavailable("stopped before the cluster was ready");
      member.child.wait(1000);
      const auto end = member.child.ended();
      return unavailable(member.name + " did not start: " + (end ? *end : addresses.status().message()) +
                         log_tail(member));
    }
    member.binds = addresses->endpoints;
    member.metrics = addresses->metrics;
    say_(member.name + ": " + member.binds.front());
  }
  return Status();
}

Status Supervisor::start_member(Member& member) {
  std::vector<std::string> arguments = member.arguments;
  for (const std::string& endpoint : member.binds) arguments.insert(arguments.end(), {"--bind", endpoint});
  if (!member.metrics.empty()) arguments.insert(arguments.end(), {"--metrics", member.metrics});
  ASSIGN_OR_RETURN(member.child, Child::start(member.program, arguments, log_path(member), SIGKILL));
  member.running = true;
  member.started_us = now_us();
  return Status();
}

Status Supervisor::write_cluster_file() {
  cluster_ = ClusterFile{};
  cluster_.up = getpid();
  cluster_.insecure = options_.insecure;
  for (const auto& member : members_) {
    if (member->is_drained) continue;
    if (member->role == "registry") cluster_.registry = member->binds;
    cluster_.processes.push_back({member->role, member->name, member->child.pid(), member->binds, member->metrics});
  }
  // Each router's first endpoint before any one's second: whoever passes over a router meets another one next.
  for (std::size_t place = 0, added = 1; added > 0; ++place) {
    added = 0;
    for (const auto& member : members_) {
      if (member->role != "router" || place >= member->binds.size()) continue;
      cluster_.router.push_back(member->binds[place]);
      ++added;
    }
  }
  if (options_.metrics) RETURN_IF_ERROR(Files::system().replace(dir_ + "/metrics.json", cluster_.metrics_targets()));
  return Files::system().replace(dir_ + "/cluster.json", cluster_.json());
}

void Supervisor::run() {
  while (!stop_.requested()) {
    std::vector<pollfd> waits{{stop_.fd(), POLLIN, 0}};
    for (const auto& member : members_)
      if (member->running) waits.push_back({member->child.end_fd(), POLLIN, 0});
    const std::int64_t next = next_start_us();
    const int timeout_ms = next < 0 ? -1 : static_cast<int>(std::max<std::int64_t>(0, next - now_us()) / 1000 + 1);
    poll(waits.data(), waits.size(), timeout_ms);
    for (const auto& member : members_) {
      if (!member->running) continue;
      if (const auto how = member->child.ended()) on_death(*member, *how);
    }
    start_due_members();
  }
  stop_all();
}

void Supervisor::on_death(Member& member, const std::string& how) {
  member.running = false;
  if (member.child.exit_code() == 0 && says_drained(member.child)) {
    member.is_drained = true;
    say_(member.name + " was drained and has ended");
    const Status written = write_cluster_file();
    if (!written.ok()) say_(written.text());
    return;
  }
  if (now_us() - member.started_us > kHealthyUs) member.deaths = 0;
  const std::int64_t wait = std::min(kLongestWaitUs, kFirstWaitUs << std::min(member.deaths, 8u));
  member.start_again_us = now_us() + wait;
  ++member.deaths;
  say_(member.name + " ended (" + how + "); it is started again in " + seconds_text(static_cast<double>(wait) / 1e6) +
       log_tail(member));
}

std::int64_t Supervisor::next_start_us() const {
  std::int64_t next = -1;
  for (const auto& member : members_)
    if (!member->running && !member->is_drained && (next < 0 || member->start_again_us < next))
      next = member->start_again_us;
  return next;
}

void Supervisor::start_due_members() {
  for (const auto& member : members_) {
    if (member->running || member->is_drained || member->start_again_us > now_us() || stop_.requested()) continue;
    const Status started = start_member(*member);
    if (!started.ok()) {
      on_death(*member, started.message());
      continue;
    }
    // Its ready line is not waited for: the others must be watched meanwhile, and its endpoints are known.
    say_(member->name + " was started again (process " + std::to_string(member->child.pid()) + ")");
    const Status written = write_cluster_file();
    if (!written.ok()) say_(written.text());
  }
}

void Supervisor::stop_all() {
  for (const char* role : {"router", "shard", "registry"}) {
    for (const auto& member : members_)
      if (member->running && member->role == role) member->child.signal(SIGTERM);
    const std::int64_t until = now_us() + std::int64_t{kEndTimeoutMs} * 1000;
    for (const auto& member : members_) {
      if (!member->running || member->role != role) continue;
      if (!member->child.wait(static_cast<int>(std::max<std::int64_t>(0, (until - now_us()) / 1000)))) {
        say_(member->name + " does not end; it is killed");
        member->child.signal(SIGKILL);
        member->child.wait(-1);
      }
      member->running = false;
    }
  }
  if (lock_.is_held() && !members_.empty()) (void)Files::system().remove(dir_ + "/cluster.json");
  std::error_code ignored;
  if (socket_folder_is_ours_) std::filesystem::remove_all(socket_folder_, ignored);
  socket_folder_is_ours_ = false;
  members_.clear();
}

std::string Supervisor::log_path(const Member& member) const { return dir_ + "/log/" + member.name + ".log"; }

std::string Supervisor::log_tail(const Member& member) const {
  auto log = Files::system().read(log_path(member));
  if (!log.ok() || log->empty()) return "";
  if (log->back() == '\n') log->pop_back();
  const auto start = log->rfind('\n');
  return "\n  " + log_path(member) + ": " + log->substr(start == std::string::npos ? 0 : start + 1);
}

}  // namespace espalier::cli
