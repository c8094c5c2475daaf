// A steady load with every answer checked, while, if asked, the releases of a tag change under it:
//
//   espalier-steady-load ROUTER RECORDING RATE SECONDS [REGISTRY MOVES PERIOD]
//
// Sends the recorded requests at RATE a second, whatever the answers do (open loop). A latency counts from the time
// that its request was due: a generator that is held up doesn't hide it. With REGISTRY, the tag takes the states of the
// releases of MOVES by turns, every PERIOD seconds. Prints one line of JSON.
//
// Both files are msgpack. RECORDING: [[header, [body, …], [{version: answer body, …}, …]], …], where the last holds,
// for each part, what each version that may answer would say. MOVES: [tenant, model, tag, [release, …]].
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <deque>
#include <map>
#include <msgpack.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "common/files.h"
#include "common/metrics.h"
#include "common/uuid.h"
#include "wire/messages.h"
#include "wire/socket.h"

namespace {

using espalier::Uuid;
namespace wire = espalier::wire;

struct Request {
  std::string header;
  std::vector<std::string> bodies;
  std::vector<std::map<std::string, std::string>> expected;
};

struct Moves {
  std::string tenant, model, tag;
  std::vector<Uuid> releases;
};

template <class T>
T value_of(espalier::Result<T> result) {
  if (!result.ok()) throw std::runtime_error(std::string(result.status().message()));
  return *std::move(result);
}

void require(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what);
}

msgpack::object_handle read_file(const std::string& path) {
  const std::string bytes = value_of(espalier::Files::system().read(path));
  return msgpack::unpack(bytes.data(), bytes.size());
}

std::vector<Request> read_recording(const std::string& path) {
  const auto file = read_file(path);
  std::vector<Request> requests;
  for (const auto& item : file->as<std::vector<std::vector<msgpack::object>>>()) {
    Request request;
    item.at(0).convert(request.header);
    item.at(1).convert(request.bodies);
    item.at(2).convert(request.expected);
    requests.push_back(std::move(request));
  }
  require(!requests.empty(), path + " is empty");
  return requests;
}

Moves read_moves(const std::string& path) {
  const auto file = read_file(path);
  const auto item = file->as<std::vector<msgpack::object>>();
  Moves moves{item.at(0).as<std::string>(), item.at(1).as<std::string>(), item.at(2).as<std::string>(), {}};
  for (const auto& release : item.at(3).as<std::vector<std::string>>()) {
    moves.releases.push_back(value_of(Uuid::from_bytes(release)));
  }
  require(!moves.releases.empty(), path + " names no release");
  return moves;
}

/// Something to be done again and again: when it is due next.
class Schedule {
 public:
  Schedule(std::int64_t start_us, double period_us, std::uint64_t times)
      : start_us_(start_us), period_us_(period_us), times_(times) {}
  bool is_over() const { return done_ == times_; }
  std::int64_t due_us() const { return start_us_ + static_cast<std::int64_t>(static_cast<double>(done_) * period_us_); }
  void did() { ++done_; }
  std::uint64_t done() const { return done_; }

 private:
  std::int64_t start_us_;
  double period_us_;
  std::uint64_t times_, done_ = 0;
};

/// Wakes a poller at a time that may be less than a millisecond ahead.
class Alarm {
 public:
  Alarm() { require(fd_ >= 0, "no timer"); }
  ~Alarm() { close(fd_); }
  Alarm(const Alarm&) = delete;
  int fd() const { return fd_; }
  void set(std::int64_t at_us) {
    itimerspec when{};
    when.it_value = {at_us / 1'000'000, at_us % 1'000'000 * 1000 + 1};
    timerfd_settime(fd_, TFD_TIMER_ABSTIME, &when, nullptr);
  }

 private:
  int fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
};

class SteadyLoad {
 public:
  explicit SteadyLoad(std::vector<Request> requests) : requests_(std::move(requests)) {
    wire::SocketOptions options;
    options.insecure = true;  // a cluster of this machine
    router_ = value_of(wire::Socket::make(context_, wire::SocketKind::dealer, options));
    registry_ = value_of(wire::Socket::make(context_, wire::SocketKind::dealer, options));
  }

  wire::Socket& router() { return *router_; }
  void move_by_turns(const std::string& registry, Moves moves, double period_s) {
    moves_ = std::move(moves);
    move_period_s_ = period_s;
    const auto connected = registry_->connect(registry);
    require(connected.ok(), registry + ": can't connect");
  }

  void run(double rate, double seconds) {
    Alarm alarm;
    wire::Poller poller;
    poller.add(*router_);
    poller.add(*registry_);
    poller.add_fd(alarm.fd());
    const std::int64_t start = clock_.monotonic_us() + 1000;
    Schedule sends(start, 1e6 / rate, static_cast<std::uint64_t>(rate * seconds));
    Schedule moves(start, move_period_s_ * 1e6,
                   moves_.releases.empty() ? 0 : static_cast<std::uint64_t>(std::lround(seconds / move_period_s_)));
    for (;;) {
      const std::int64_t now = clock_.monotonic_us();
      heard_us_ = std::max(heard_us_, start);
      require(now - heard_us_ < 10'000'000, "no answer within 10 s");
      while (!sends.is_over() && sends.due_us() <= now) send(sends);
      if (!moves.is_over() && moves.due_us() <= now) move(moves);
      take_answers();
      if (sends.is_over() && moves.is_over() && under_way_.empty() && moves_under_way_ == 0) break;
      std::int64_t next = now + 1'000'000;
      if (!sends.is_over()) next = std::min(next, sends.due_us());
      if (!moves.is_over()) next = std::min(next, moves.due_us());
      alarm.set(next);
      poller.wait(-1);
    }
    sent_ = sends.done();
    moved_ = moves.done();
  }

  nlohmann::json result() const {
    const auto ms = [&](double share) { return static_cast<double>(latency_.percentile(share)) / 1e3; };
    return {{"sent", sent_},
            {"answered", latency_.count()},
            {"wrong", wrong_},
            {"first_wrong", first_wrong_},
            {"p50_ms", ms(0.5)},
            {"p90_ms", ms(0.9)},
            {"p99_ms", ms(0.99)},
            {"p999_ms", ms(0.999)},
            {"max_ms", static_cast<double>(latency_.max()) / 1e3},
            {"versions", versions_.size()},
            {"moves", moved_}};
  }

 private:
  struct UnderWay {
    std::size_t request;
    std::int64_t due_us;
  };

  void send(Schedule& sends) {
    const std::uint64_t id = sends.done();
    const std::size_t which = id % requests_.size();
    wire::Message message;
    message.emplace_back(std::string_view(reinterpret_cast<const char*>(&id), sizeof id));
    message.emplace_back(std::string_view(requests_[which].header));
    for (const std::string& body : requests_[which].bodies) message.emplace_back(std::string_view(body));
    require(value_of(router_->send(message)), "the router takes nothing more");
    under_way_.emplace(id, UnderWay{which, sends.due_us()});
    sends.did();
  }

  void move(Schedule& moves) {
    wire::MoveRequest request;
    request.idem = ids_.next();
    request.tenant = moves_.tenant;
    request.model = moves_.model;
    request.tag = moves_.tag;
    request.release = ids_.next();
    request.from_release = moves_.releases[moves.done() % moves_.releases.size()];
    const std::string header = wire::encode(request);
    wire::Message message;
    message.emplace_back(std::string_view("move"));
    message.emplace_back(std::string_view(header));
    require(value_of(registry_->send(message)), "the registry takes nothing more");
    ++moves_under_way_;
    moves.did();
  }

  void take_answers() {
    while (value_of(router_->receive(incoming_))) take_prediction();
    while (value_of(registry_->receive(incoming_))) {
      require(incoming_.size() == 2, "not a reply of the registry");
      const auto status = wire::peek_status(incoming_[1].view());
      require(status.ok(), "move: " + std::string(status.message()));
      --moves_under_way_;
    }
  }

  void take_prediction() {
    heard_us_ = clock_.monotonic_us();
    std::uint64_t id = 0;
    require(incoming_.size() > 1 && incoming_[0].size() == sizeof id, "an answer to something else");
    std::memcpy(&id, incoming_[0].view().data(), sizeof id);
    const auto found = under_way_.find(id);
    require(found != under_way_.end(), "an answer to nothing, or a second one");
    latency_.record(static_cast<std::uint64_t>(heard_us_ - found->second.due_us));
    const std::string fault = fault_of(requests_[found->second.request]);
    if (!fault.empty() && wrong_++ == 0) first_wrong_ = fault;
    under_way_.erase(found);
  }

  /// Empty: every part was answered by one of the versions that may, with that version's values.
  std::string fault_of(const Request& request) {
    const auto reply = wire::decode<wire::PredictReply>(incoming_[1].view());
    if (!reply.ok()) return std::string(reply.status().message());
    if (reply->status != espalier::Code::ok) return "the request failed: " + reply->message;
    if (reply->parts.size() != request.expected.size() || incoming_.size() != 2 + request.expected.size()) {
      return "an answer with another number of parts";
    }
    for (std::size_t i = 0; i < reply->parts.size(); ++i) {
      const wire::PartAnswered& part = reply->parts[i];
      if (part.status != espalier::Code::ok) return "a part failed: " + part.message;
      const std::string version(part.provenance.version.view());
      const auto values = request.expected[i].find(version);
      if (values == request.expected[i].end())
        return "a version that may not answer: " + part.provenance.version.text();
      if (incoming_[2 + i].view() != values->second)
        return "not the values of version " + part.provenance.version.text();
      versions_.insert({version, 0}).first->second++;
    }
    return {};
  }

  const std::vector<Request> requests_;
  Moves moves_;
  double move_period_s_ = 1;
  const espalier::Clock& clock_ = espalier::Clock::system();
  espalier::UuidSource ids_{clock_};
  wire::Context context_;
  std::unique_ptr<wire::Socket> router_, registry_;
  wire::Message incoming_;
  std::unordered_map<std::uint64_t, UnderWay> under_way_;
  std::unordered_map<std::string, std::uint64_t> versions_;  ///< answers of each
  std::int64_t heard_us_ = 0;
  std::uint64_t moves_under_way_ = 0, sent_ = 0, moved_ = 0, wrong_ = 0;
  std::string first_wrong_;
  espalier::Histogram latency_;
};

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() != 4 && words.size() != 7) {
    std::fputs("usage: espalier-steady-load ROUTER RECORDING RATE SECONDS [REGISTRY MOVES PERIOD]\n", stderr);
    return 2;
  }
  SteadyLoad load(read_recording(words[1]));
  require(load.router().connect(words[0]).ok(), words[0] + ": can't connect");
  if (words.size() == 7) load.move_by_turns(words[4], read_moves(words[5]), std::stod(words[6]));
  load.run(std::stod(words[2]), std::stod(words[3]));
  std::puts(load.result().dump().c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "espalier-steady-load: %s\n", error.what());
  return 1;
}
