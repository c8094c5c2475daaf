// Publishes of single small models from many clients: how many a second, each on disk before it is acknowledged.
//
//   espalier-publish-rate --dir FOLDER [--clients 64] [--tenants 4] [--seconds 5] [--sync-ms 0] [--check]
//
// The registry runs in this process, on a thread of its own and behind a socket, as it does in espalier-registry. Each
// client has a connection, uploads an artefact that nobody else has, publishes a version of one node with it, waits for
// the acknowledgement, and goes on. --sync-ms makes every sync of a file, LevelDB's and the packs', take that much
// longer. Afterwards the folder is opened anew and every acknowledged version is looked up and its artefact fetched.
// Prints a line of JSON; exit code 1 where something acknowledged is missing, and, with --check, below 1,000 a second.
#include <leveldb/env.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/small_artefacts.h"
#include "common/metrics.h"
#include "model/spec.h"
#include "registry/server.h"
#include "wire/socket.h"

namespace espalier {
namespace {

constexpr double kRateToReach = 1000;

struct Options {
  std::string folder;
  int clients = 64, tenants = 4, sync_ms = 0;
  double seconds = 5;
  bool check = false;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "espalier-publish-rate: %s\n", why.c_str());
  std::exit(1);
}
template <class T>
T must(Result<T> result) {
  if (!result.ok()) fail(result.status().text());
  return *std::move(result);
}
void must(const Status& status) {
  if (!status.ok()) fail(status.text());
}

void wait_for_disk(int sync_ms) {
  if (sync_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(sync_ms));
}

/// The operating system's files with a slower disk.
class SlowFiles final : public Files {
 public:
  explicit SlowFiles(int sync_ms) : sync_ms_(sync_ms) {}

  Result<std::unique_ptr<File>> open(const std::string& path, bool create) override {
    ASSIGN_OR_RETURN(auto file, real_.open(path, create));
    return std::unique_ptr<File>(std::make_unique<SlowFile>(std::move(file), sync_ms_));
  }
  Result<std::unique_ptr<Mapping>> map(const std::string& path) override { return real_.map(path); }
  Result<std::string> read(const std::string& path) override { return real_.read(path); }
  Status replace(const std::string& path, std::string_view content) override {
    wait_for_disk(2 * sync_ms_);
    return real_.replace(path, content);
  }
  Status rename(const std::string& from, const std::string& to) override { return real_.rename(from, to); }
  Status remove(const std::string& path) override { return real_.remove(path); }
  Status create_directories(const std::string& path) override { return real_.create_directories(path); }
  Status sync_directory(const std::string& path) override {
    wait_for_disk(sync_ms_);
    return real_.sync_directory(path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override { return real_.list(path); }
  bool exists(const std::string& path) override { return real_.exists(path); }

 private:
  class SlowFile final : public File {
   public:
    SlowFile(std::unique_ptr<File> real, int sync_ms) : real_(std::move(real)), sync_ms_(sync_ms) {}
    Status write_at(std::uint64_t offset, std::string_view bytes) override { return real_->write_at(offset, bytes); }
    Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override {
      return real_->read_at(offset, size);
    }
    Status sync() override {
      wait_for_disk(sync_ms_);
      return real_->sync();
    }
    Result<std::uint64_t> size() const override { return real_->size(); }
    Status preallocate(std::uint64_t bytes) override { return real_->preallocate(bytes); }

   private:
    const std::unique_ptr<File> real_;
    const int sync_ms_;
  };

  Files& real_ = Files::system();
  const int sync_ms_;
};

/// LevelDB's, likewise.
class SlowEnv final : public leveldb::EnvWrapper {
 public:
  explicit SlowEnv(int sync_ms) : EnvWrapper(leveldb::Env::Default()), sync_ms_(sync_ms) {}
  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override {
    const leveldb::Status status = target()->NewWritableFile(name, file);
    if (status.ok()) *file = new SlowFile(std::unique_ptr<leveldb::WritableFile>(*file), sync_ms_);
    return status;
  }

 private:
  class SlowFile final : public leveldb::WritableFile {
   public:
    SlowFile(std::unique_ptr<leveldb::WritableFile> real, int sync_ms) : real_(std::move(real)), sync_ms_(sync_ms) {}
    leveldb::Status Append(const leveldb::Slice& bytes) override { return real_->Append(bytes); }
    leveldb::Status Close() override { return real_->Close(); }
    leveldb::Status Flush() override { return real_->Flush(); }
    leveldb::Status Sync() override {
      wait_for_disk(sync_ms_);
      return real_->Sync();
    }

   private:
    const std::unique_ptr<leveldb::WritableFile> real_;
    const int sync_ms_;
  };
  const int sync_ms_;
};

struct Published {
  std::string tenant, model;
  Uuid version;
  Hash256 artefact;
};

/// The registry is one of this process.
wire::SocketOptions insecure() {
  wire::SocketOptions options;
  options.insecure = true;
  return options;
}

class Publisher {
 public:
  Publisher(wire::Context& context, const std::string& endpoint, int number, int tenants)
      : socket_(must(wire::Socket::make(context, wire::SocketKind::dealer, insecure()))) {
    must(socket_->connect(endpoint));
    request_.tenant = "tenant" + std::to_string(number % tenants);
    request_.model = "model" + std::to_string(number);
    request_.tag = "production";
    request_.replace = false;
    request_.fields = {{"age", model::FieldType::number}};
    model::Spec spec;
    spec.model = request_.model;
    spec.target.column = "y";
    spec.levels = {"city"};
    spec.features = {{"age", "standardise(age)"}};
    request_.spec_json = spec.json();
  }
  wire::Socket& socket() { return *socket_; }

  void start(const std::string& bytes, UuidSource& uuids, std::int64_t now_us) {
    started_us_ = now_us;
    version_ = {};
    version_.version = uuids.next();
    version_.partition = {"city" + std::to_string(++published_ % 100)};
    version_.artefact = blake2b_256(bytes);
    wire::UploadRequest upload;
    upload.tenant = request_.tenant;
    upload.artefacts = {version_.artefact};
    send(wire::encode(upload), bytes);
    is_uploading_ = true;
  }

  /// Whether what has come ends a publish.
  bool take(UuidSource& uuids) {
    if (!must(socket_->receive(incoming_))) return false;
    must(wire::peek_status(incoming_.at(1).view()));
    if (!std::exchange(is_uploading_, false)) return true;
    request_.idem = uuids.next();
    request_.release = uuids.next();
    send(wire::encode(request_), wire::encode_array(std::vector{version_}));
    return false;
  }

  std::int64_t started_us() const { return started_us_; }
  Published last() const { return {request_.tenant, request_.model, version_.version, version_.artefact}; }

 private:
  void send(const std::string& header, const std::string& body) {
    wire::Message message;
    message.emplace_back(std::string_view("1"));
    message.emplace_back(std::string_view(header));
    message.emplace_back(std::string_view(body));
    if (!must(socket_->send(message))) fail("the registry takes nothing more");
  }

  std::unique_ptr<wire::Socket> socket_;
  wire::PublishRequest request_;
  wire::VersionRecord version_;
  wire::Message incoming_;
  bool is_uploading_ = false;
  int published_ = 0;
  std::int64_t started_us_ = 0;
};

/// Everything that was acknowledged.
std::vector<Published> run_clients(const Options& options, wire::Context& context, const std::string& endpoint,
                                   Histogram& latency) {
  const Clock& clock = Clock::system();
  SmallArtefacts artefacts;
  float bias = 0;  // whole numbers are exact to 16 million
  UuidSource uuids(clock);
  std::vector<std::unique_ptr<Publisher>> publishers;
  wire::Poller poller;
  for (int i = 0; i < options.clients; ++i) {
    publishers.push_back(std::make_unique<Publisher>(context, endpoint, i, options.tenants));
    poller.add(publishers.back()->socket());
  }
  const std::int64_t start = clock.monotonic_us();
  for (auto& publisher : publishers) publisher->start(artefacts.with_bias(++bias), uuids, start);
  std::vector<Published> published;
  for (int under_way = options.clients; under_way > 0;) {
    if (!poller.wait(30'000'000)) fail("no acknowledgement within 30 s");
    for (auto& publisher : publishers) {
      if (!publisher->take(uuids)) continue;
      const std::int64_t now = clock.monotonic_us();
      latency.record(static_cast<std::uint64_t>(now - publisher->started_us()));
      published.push_back(publisher->last());
      if (static_cast<double>(now - start) < options.seconds * 1e6) {
        publisher->start(artefacts.with_bias(++bias), uuids, now);
      } else {
        --under_way;
      }
    }
  }
  return published;
}

std::size_t count_missing(const std::string& folder, const std::vector<Published>& published) {
  const auto registry = must(registry::Registry::open(Files::system(), Clock::system(), folder));
  const Principal principal = Principal::local();
  std::size_t missing = 0;
  for (const Published& one : published) {
    wire::VersionsRequest request;
    request.tenant = one.tenant;
    request.model = one.model;
    request.version = one.version;
    registry::Registry::Bodies bodies;
    const auto found = registry->versions(principal, request);
    const auto fetched = registry->fetch(principal, {one.tenant, {one.artefact}}, bodies);
    if (!found.ok() || found->versions.size() != 1 || !fetched.ok() || bodies.size() != 1) ++missing;
  }
  return missing;
}

int run(const Options& options) {
  SlowFiles files(options.sync_ms);
  SlowEnv env(options.sync_ms);
  Histogram latency;
  std::vector<Published> published;
  double seconds = 0;
  {
    registry::RegistryOptions registry_options;
    registry_options.store.env = &env;
    const auto registry =
        must(registry::Registry::open(files, Clock::system(), options.folder, std::move(registry_options)));
    wire::Context context;
    const auto server = must(registry::Server::make(*registry, Clock::system(), context));
    const std::string endpoint = must(server->bind("ipc://" + options.folder + "/registry.sock"));
    StopSignals stop;
    std::thread thread([&] { server->run(stop); });
    const std::int64_t start = Clock::system().monotonic_us();
    published = run_clients(options, context, endpoint, latency);
    seconds = static_cast<double>(Clock::system().monotonic_us() - start) / 1e6;
    stop.request();
    thread.join();
  }
  const std::size_t missing = count_missing(options.folder, published);
  const double rate = static_cast<double>(published.size()) / seconds;
  const nlohmann::json result = {
      {"clients", options.clients},
      {"tenants", options.tenants},
      {"sync_ms", options.sync_ms},
      {"published", published.size()},
      {"a_second", rate},
      {"p50_ms", static_cast<double>(latency.percentile(0.5)) / 1e3},
      {"p99_ms", static_cast<double>(latency.percentile(0.99)) / 1e3},
      {"missing", missing},
  };
  std::puts(result.dump().c_str());
  return missing > 0 || (options.check && rate < kRateToReach) ? 1 : 0;
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  CLI::App app("Publishes of single small models from many clients, each on disk before it is acknowledged.");
  espalier::Options options;
  app.add_option("--dir", options.folder, "Folder for the registry; made when it is missing")->required();
  app.add_option("--clients", options.clients)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--tenants", options.tenants, "Whose packs are synced on their own")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds)->capture_default_str();
  app.add_option("--sync-ms", options.sync_ms, "How much longer every sync takes")->capture_default_str();
  app.add_flag("--check", options.check, "Exit code 1 below 1,000 publishes a second");
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(options.folder);
  return espalier::run(options);
}
