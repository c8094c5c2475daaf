// A load through the client library while something goes wrong, every answer checked:
//
//   espalier-trouble-load RECORDING RATE SECONDS ROUTER...
//
// Sends the recorded requests at RATE a second, whatever the answers do (open loop); RATE "900,300" with SECONDS "10,4"
// goes on at 300 after ten seconds at 900. With RATE "wN" it keeps N of them under way (closed loop), which measures a
// capacity. Knows all the ROUTERs, as an application would. Prints one line
// of JSON: how many were answered, refused or failed and how, latencies of those answered and of those refused, and a
// timeline in steps of 100 ms.
//
// A latency counts from the sending. The sendings don't wait for answers, so nothing hides; what the generator itself
// is held up by others on its core is said apart (held_up_ms).
//
// RECORDING is that of espalier-steady-load, in msgpack: [[header, [body, …], [{version: answer body, …}, …]], …].
// Where a fourth element follows, the header of a reply, each part's provenance is checked against that: who was asked
// and who served, level, reason, version, tag, release. What a recording can't know, epochs and shards, is told apart.
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <msgpack.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/client.h"
#include "common/clock.h"
#include "common/files.h"
#include "common/metrics.h"
#include "wire/socket.h"

namespace {

using espalier::Code;
namespace client = espalier::client;
namespace wire = espalier::wire;

constexpr std::int64_t kStepUs = 100'000;
/// After the last sending so long is waited for answers, beyond the budget.
constexpr std::int64_t kFarewellUs = 2'000'000;

void require(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what);
}

template <class T>
T value_of(espalier::Result<T> result) {
  require(result.ok(), result.ok() ? "" : std::string(result.status().message()));
  return *std::move(result);
}

struct Request {
  wire::PredictRequest asked;
  std::vector<std::string> bodies;
  std::vector<std::map<std::string, wire::PartPrediction>> expected;  ///< by part and version
  std::optional<wire::PredictReply> recorded;
};

std::vector<Request> read_recording(const std::string& path) {
  const std::string bytes = value_of(espalier::Files::system().read(path));
  const auto file = msgpack::unpack(bytes.data(), bytes.size());
  std::vector<Request> requests;
  for (const auto& item : file->as<std::vector<std::vector<msgpack::object>>>()) {
    Request request;
    request.asked = value_of(wire::decode<wire::PredictRequest>(item.at(0).as<std::string>()));
    item.at(1).convert(request.bodies);
    const auto expected = item.at(2).as<std::vector<std::map<std::string, std::string>>>();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      auto& by_version = request.expected.emplace_back();
      for (const auto& [version, body] : expected[i]) {
        by_version[version] = value_of(wire::decode_prediction(body, request.asked.parts.at(i).rows));
      }
    }
    if (item.size() > 3) {
      request.recorded = value_of(wire::decode<wire::PredictReply>(item[3].as<std::string>()));
      require(request.recorded->parts.size() == request.asked.parts.size(), path + ": a reply with other parts");
    }
    requests.push_back(std::move(request));
  }
  require(!requests.empty(), path + " is empty");
  return requests;
}

/// In words, what an answer says of itself otherwise than the one that was recorded; empty where nothing.
std::string difference(const wire::Provenance& said, const wire::Provenance& recorded) {
  if (said.reason != recorded.reason) return "the reason " + std::string(wire::reason_name(said.reason));
  if (said.served != recorded.served) return "another node served";
  if (said.level != recorded.level) return "the level " + said.level;
  if (said.version != recorded.version) return "version " + said.version.text();
  if (said.tag != recorded.tag) return "the tag " + said.tag;
  if (said.release != recorded.release) return "release " + said.release.text();
  if (said.release_epoch != recorded.release_epoch) return "release epoch " + std::to_string(said.release_epoch);
  if (said.arm != recorded.arm || said.exposed != recorded.exposed) return "the arm " + said.arm;
  return "";
}

bool same(const wire::PartPrediction& a, const wire::PartPrediction& b) {
  return a.value == b.value && a.label == b.label && a.probability == b.probability && a.classes == b.classes &&
         a.scores == b.scores;
}

/// So many requests a second for so long.
struct Phase {
  double rate;
  double seconds;
};

double seconds_of(const std::vector<Phase>& phases) {
  double seconds = 0;
  for (const Phase& phase : phases) seconds += phase.seconds;
  return seconds;
}

/// When each request of an open loop is to be sent, phase after phase.
class Sendings {
 public:
  Sendings(std::vector<Phase> phases, std::int64_t start_us) : phases_(std::move(phases)), begin_us_(start_us) {
    skip_what_is_over();
  }

  bool are_over() const { return phase_ == phases_.size(); }
  /// Of the next one; the end once they are over.
  std::int64_t due_us() const {
    return are_over() ? begin_us_ : begin_us_ + static_cast<std::int64_t>(1e6 * sent_ / phases_[phase_].rate);
  }
  void next() {
    ++sent_;
    skip_what_is_over();
  }

 private:
  void skip_what_is_over() {
    while (!are_over() && sent_ >= std::floor(phases_[phase_].rate * phases_[phase_].seconds)) {
      begin_us_ += static_cast<std::int64_t>(phases_[phase_].seconds * 1e6);
      ++phase_;
      sent_ = 0;
    }
  }

  const std::vector<Phase> phases_;
  std::int64_t begin_us_;  ///< of the phase
  std::size_t phase_ = 0;
  double sent_ = 0;  ///< of the phase
};

class Load {
 public:
  Load(std::vector<Request> requests, std::vector<std::string> routers) : requests_(std::move(requests)) {
    client::Client::Options options;
    options.most_requests = 4'000'000;  // an open loop doesn't wait for room
    options.insecure = true;            // hosts that a test has made
    client_ = value_of(client::Client::connect(std::move(routers), options));
  }

  void run_open(const std::vector<Phase>& phases) {
    begin(seconds_of(phases));
    Sendings sendings(phases, start_us_);
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    require(timer >= 0, "no timer");
    while (!sendings.are_over() || !under_way_.empty()) {
      const std::int64_t now = clock_.monotonic_us();
      while (!sendings.are_over() && sendings.due_us() <= now) {
        held_up_us_ = std::max(held_up_us_, now - sendings.due_us());
        send();
        sendings.next();
      }
      take_answers();
      if (sendings.are_over() && now > sendings.due_us() + budget_us_ + kFarewellUs) break;
      const std::int64_t next = sendings.are_over() ? now + 5'000 : std::min(sendings.due_us(), now + 5'000);
      itimerspec when{};
      when.it_value = {next / 1'000'000, next % 1'000'000 * 1000 + 1};
      timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr);
      poller_.clear();
      poller_.add(client_->socket());
      poller_.add_fd(timer);
      poller_.wait(-1);
    }
    close(timer);
  }

  void run_closed(std::size_t window, double seconds) {
    begin(seconds);
    const std::int64_t end_us = start_us_ + static_cast<std::int64_t>(seconds * 1e6);
    for (std::int64_t now = start_us_; now < end_us; now = clock_.monotonic_us()) {
      while (under_way_.size() < window) send();
      if (client_->receive(prediction_, 20'000)) take_answer();
      take_answers();
    }
    answered_in_time_ = answered_.count();
    while (!under_way_.empty() && clock_.monotonic_us() < end_us + budget_us_ + kFarewellUs) {
      if (client_->receive(prediction_, 20'000)) take_answer();
    }
  }

  nlohmann::json result(double seconds) const {
    const auto latencies = [](const espalier::Histogram& of) {
      const auto ms = [&](double share) { return static_cast<double>(of.percentile(share)) / 1e3; };
      return nlohmann::json{{"count", of.count()},  {"p50_ms", ms(0.5)},
                            {"p90_ms", ms(0.9)},    {"p99_ms", ms(0.99)},
                            {"p999_ms", ms(0.999)}, {"max_ms", static_cast<double>(of.max()) / 1e3}};
    };
    nlohmann::json codes = nlohmann::json::object();
    for (const auto& [code, count] : codes_) codes[std::string(espalier::code_name(code))] = count;
    return {{"sent", sent_},
            {"answered", latencies(answered_)},
            {"refused", latencies(refused_)},
            {"rps", static_cast<double>(answered_in_time_ > 0 ? answered_in_time_ : answered_.count()) / seconds},
            {"codes", codes},
            {"first_failure", first_failure_},
            {"wrong", wrong_},
            {"first_wrong", first_wrong_},
            {"late", late_},
            {"unanswered", under_way_.size()},
            {"attempts_over_one", again_},
            {"shards", shards_},
            {"epochs", {oldest_epoch_, newest_epoch_}},
            {"held_up_ms", static_cast<double>(held_up_us_) / 1e3},
            {"timeline", timeline_}};
  }

 private:
  struct UnderWay {
    std::size_t request;
    std::int64_t sent_us;
  };

  void begin(double seconds) {
    for (const Request& request : requests_) budget_us_ = std::max(budget_us_, request.asked.budget_us);
    const auto steps =
        static_cast<std::size_t>((seconds * 1e6 + static_cast<double>(budget_us_ + kFarewellUs)) / kStepUs);
    timeline_.assign(steps + 1, {0, 0, 0, 0});
    start_us_ = clock_.monotonic_us();
  }

  void send() {
    const std::size_t which = sent_++ % requests_.size();
    const std::int64_t now = clock_.monotonic_us();
    const auto ticket = client_->submit(requests_[which].asked, requests_[which].bodies);
    if (ticket.status().code() == Code::overloaded) {
      ++codes_[Code::overloaded];
      refused_.record(0);
      ++step_of(now)[1];
      return;
    }
    under_way_.emplace(value_of(ticket), UnderWay{which, now});
  }

  /// Of the timeline: when a request was sent.
  std::array<std::int64_t, 4>& step_of(std::int64_t sent_us) {
    return timeline_[std::min<std::size_t>(static_cast<std::size_t>((sent_us - start_us_) / kStepUs),
                                           timeline_.size() - 1)];
  }

  void take_answers() {
    while (client_->receive(prediction_, 0)) take_answer();
  }

  void take_answer() {
    const auto found = under_way_.find(prediction_.ticket);
    require(found != under_way_.end(), "an answer to nothing, or a second one");
    const Request& request = requests_[found->second.request];
    const std::int64_t us = clock_.monotonic_us() - found->second.sent_us;
    auto& step = step_of(found->second.sent_us);
    Code code = prediction_.status.code();
    std::string message(prediction_.status.message());
    for (const client::PredictedPart& part : prediction_.parts) {
      if (code != Code::ok || part.status.ok()) continue;
      code = part.status.code();
      message = part.status.message();
    }
    ++codes_[code];
    if (us > request.asked.budget_us) ++late_;
    if (code == Code::ok) {
      answered_.record(static_cast<std::uint64_t>(us));
      ++step[0];
      step[3] = std::max(step[3], us);
      check(request);
    } else if (code == Code::overloaded) {
      refused_.record(static_cast<std::uint64_t>(us));
      ++step[1];
    } else {
      ++step[2];
      if (first_failure_.empty()) {
        first_failure_ = std::string(espalier::code_name(code)) + ": " + message + " (sent after " +
                         std::to_string((found->second.sent_us - start_us_) / 1000) + " ms)";
      }
    }
    under_way_.erase(found);
  }

  /// Every part was answered by a version that may, with that version's values.
  void check(const Request& request) {
    std::string fault;
    if (prediction_.parts.size() != request.expected.size()) fault = "another number of parts";
    for (std::size_t i = 0; i < prediction_.parts.size() && fault.empty(); ++i) {
      const client::PredictedPart& part = prediction_.parts[i];
      const auto values = request.expected[i].find(std::string(part.provenance.version.view()));
      if (part.provenance.attempt > 1) ++again_;
      if (part.provenance.asked != request.asked.parts[i].partition) fault = "the provenance of another partition";
      if (request.recorded && fault.empty()) {
        fault = difference(part.provenance, request.recorded->parts[i].provenance);
      }
      if (part.provenance.epoch < part.provenance.release_epoch) fault = "an epoch before its release's";
      note(part.provenance);
      if (values == request.expected[i].end()) {
        fault = "a version that may not answer: " + part.provenance.version.text();
      } else if (!same(values->second, part.prediction)) {
        fault = "not the values of version " + part.provenance.version.text();
      }
    }
    if (!fault.empty() && wrong_++ == 0) first_wrong_ = fault;
  }

  void note(const wire::Provenance& said) {
    ++shards_[said.shard];
    oldest_epoch_ = std::min(oldest_epoch_, said.epoch);
    newest_epoch_ = std::max(newest_epoch_, said.epoch);
  }

  const std::vector<Request> requests_;
  const espalier::Clock& clock_ = espalier::Clock::system();
  std::unique_ptr<client::Client> client_;
  wire::Poller poller_;
  client::Prediction prediction_;
  std::unordered_map<client::Ticket, UnderWay> under_way_;
  std::map<Code, std::uint64_t> codes_;
  std::vector<std::array<std::int64_t, 4>>
      timeline_;  ///< of those sent in a step: answered, refused, failed, longest us
  std::int64_t start_us_ = 0, budget_us_ = 0, held_up_us_ = 0;
  std::uint64_t sent_ = 0, wrong_ = 0, late_ = 0, again_ = 0, answered_in_time_ = 0;
  std::map<std::string, std::uint64_t> shards_;  ///< parts that each answered
  std::uint64_t oldest_epoch_ = UINT64_MAX, newest_epoch_ = 0;
  std::string first_wrong_, first_failure_;
  espalier::Histogram answered_, refused_;
};

/// "900,300"
std::vector<double> numbers_of(const std::string& words) {
  std::vector<double> numbers;
  std::istringstream stream(words);
  for (std::string word; std::getline(stream, word, ',');) numbers.push_back(std::stod(word));
  require(!numbers.empty(), "a number is missing");
  return numbers;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 4) {
    std::fputs("usage: espalier-trouble-load RECORDING RATE[,RATE...]|wWINDOW SECONDS[,SECONDS...] ROUTER...\n",
               stderr);
    return 2;
  }
  const std::vector<double> seconds = numbers_of(words[2]);
  Load load(read_recording(words[0]), {words.begin() + 3, words.end()});
  if (words[1].starts_with("w")) {
    load.run_closed(std::stoul(words[1].substr(1)), seconds.front());
    std::puts(load.result(seconds.front()).dump().c_str());
    return 0;
  }
  const std::vector<double> rates = numbers_of(words[1]);
  require(rates.size() == seconds.size(), "as many SECONDS as RATEs are needed");
  std::vector<Phase> phases;
  for (std::size_t i = 0; i < rates.size(); ++i) phases.push_back({rates[i], seconds[i]});
  load.run_open(phases);
  std::puts(load.result(seconds_of(phases)).dump().c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "espalier-trouble-load: %s\n", error.what());
  return 1;
}
