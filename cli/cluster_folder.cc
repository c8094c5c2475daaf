#include "cli/cluster_folder.h"

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/files.h"
#include "common/folder_lock.h"

namespace espalier::cli {

using nlohmann::json;

std::string ClusterFile::json() const {
  auto list = nlohmann::json::array();
  for (const ClusterProcess& process : processes) {
    list.push_back({{"role", process.role},
                    {"name", process.name},
                    {"pid", process.pid},
                    {"endpoints", process.endpoints},
                    {"metrics", process.metrics}});
  }
  nlohmann::json file = {{"registry", registry}, {"router", router}, {"up", up}, {"processes", list}};
  if (insecure) file["insecure"] = true;
  return file.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string ClusterFile::metrics_targets() const {
  auto list = nlohmann::json::array();
  for (const ClusterProcess& process : processes) {
    if (process.metrics.empty()) continue;
    list.push_back({{"targets", {process.metrics}}, {"labels", {{"role", process.role}, {"process", process.name}}}});
  }
  return list.dump(2) + "\n";
}

namespace {

Status no_cluster(const std::string& dir) {
  return failed_precondition("no cluster runs in " + dir + "; `espalier up --dir " + dir + "` starts one");
}

}  // namespace

Result<ClusterFile> ClusterFile::parse(std::string_view text) {
  ClusterFile file;
  try {
    const auto document = nlohmann::json::parse(text);
    document.at("registry").get_to(file.registry);
    document.at("router").get_to(file.router);
    file.insecure = document.value("insecure", false);
    file.up = document.value("up", 0);
    for (const auto& entry : document.value("processes", nlohmann::json::array())) {
      ClusterProcess process;
      entry.at("role").get_to(process.role);
      entry.at("name").get_to(process.name);
      entry.at("pid").get_to(process.pid);
      entry.at("endpoints").get_to(process.endpoints);
      process.metrics = entry.value("metrics", "");
      file.processes.push_back(std::move(process));
    }
  } catch (const nlohmann::json::exception& error) {
    return corrupt(error.what());
  }
  return file;
}

Result<ClusterFile> read_cluster(const std::string& dir) {
  if (dir.empty()) {
    return failed_precondition(
        "which cluster? Name its folder with --cluster DIR or ESPALIER_CLUSTER; `espalier up --dir DIR` starts one");
  }
  const std::string path = dir + "/cluster.json";
  auto text = Files::system().read(path);
  if (!text.ok()) {
    if (text.status().code() == Code::not_found) return no_cluster(dir);
    return text.status();
  }
  auto file = ClusterFile::parse(*text);
  if (!file.ok()) return file.status().at(path);
  return file;
}

Result<ClusterFile> running_cluster(const std::string& dir) {
  constexpr auto kPatience = std::chrono::seconds(30);
  constexpr auto kBetweenLooks = std::chrono::milliseconds(20);
  for (const auto end = std::chrono::steady_clock::now() + kPatience; std::chrono::steady_clock::now() < end;) {
    // In this order: a cluster that ends in between leaves no file.
    const bool runs = !dir.empty() && FolderLock::is_taken(dir);
    auto file = read_cluster(dir);
    if (file.status().code() != Code::failed_precondition) {
      // A file without `up` was written by hand, for a cluster whose processes systemd or others keep.
      const bool is_of_up = file.ok() && file->up != 0;
      if (is_of_up && !runs) return no_cluster(dir);
      return file;
    }
    if (!runs) return file;
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return unavailable("the cluster in " + dir + " is still starting");
}

Result<std::string> absolute_path(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error) return unavailable(path + ": " + error.message());
  auto text = absolute.lexically_normal().string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace espalier::cli
