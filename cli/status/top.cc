#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/cluster_folder.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/status/asking.h"
#include "cli/status/status_commands.h"
#include "cli/status/traffic.h"
#include "common/clock.h"
#include "common/signals.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kTrafficPatienceUs = 2'000'000;
constexpr std::size_t kWidth = 80;
const std::map<std::string, By> kBy = {
    {"tenant", By::tenant}, {"model", By::model}, {"shard", By::shard}, {"version", By::version}};
const std::map<std::string, Sort> kSort = {{"rate", Sort::rate},     {"p50", Sort::p50},
                                           {"p99", Sort::p99},       {"fallback", Sort::fallback},
                                           {"errors", Sort::errors}, {"name", Sort::name}};

template <class Value>
std::string word_of(const std::map<std::string, Value>& words, Value value) {
  return std::ranges::find(words, value, [](const auto& each) { return each.second; })->first;
}

/// Who is asked: by tenant the routers, else the shards of the view.
Result<std::vector<std::string>> endpoints_of(const Shared& shared, By by) {
  ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(shared.cluster));
  std::vector<std::string> endpoints;
  if (by == By::tenant) {
    for (const ClusterProcess& process : cluster.processes)
      if (process.role == "router" && !process.endpoints.empty()) endpoints.push_back(process.endpoints.front());
    return endpoints.empty() ? cluster.router : endpoints;
  }
  ASSIGN_OR_RETURN(const auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::ViewReply view, registry->call(wire::ViewRequest{}));
  for (const cluster::ShardInfo& shard : view.view.shards)
    if (!shard.endpoints.empty()) endpoints.push_back(shard.endpoints.front());
  return endpoints;
}

/// unavailable: nobody answers.
Result<Look> look(const std::vector<std::string>& endpoints, const Asker& asker, By by) {
  Asking asking(asker);
  const wire::TrafficRequest request{by == By::tenant ? "tenant" : by == By::version ? "version" : "model"};
  for (const std::string& endpoint : endpoints) asking.ask(endpoint, wire::encode(request));
  asking.wait(kTrafficPatienceUs);
  Look look;
  Status why = unavailable("nobody answers");
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (!asking.answer(i).status.ok()) {
      why = asking.answer(i).status;
      continue;
    }
    ASSIGN_OR_RETURN(wire::TrafficReply reply, wire::decode_reply<wire::TrafficReply>(asking.answer(i).header));
    const Uuid process = reply.process;
    look.emplace(process, std::move(reply));
  }
  if (look.empty()) return why;
  return look;
}

std::string percent(double share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", 100 * share);
  return text;
}

std::string rate_text(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, rate < 100 ? "%.1f" : "%.0f", rate);
  return text;
}

std::string micros_text(std::uint64_t us) {
  char text[32];
  if (us < 10'000)
    std::snprintf(text, sizeof text, "%.2f", static_cast<double>(us) / 1e3);
  else
    std::snprintf(text, sizeof text, "%.0f", static_cast<double>(us) / 1e3);
  return text;
}

json document_of(const std::vector<Traffic>& rows, By by, double seconds) {
  json document = {{"by", word_of(kBy, by)}, {"seconds", seconds}, {"rows", json::array()}};
  for (const Traffic& row : rows) {
    document["rows"].push_back({{"name", row.name},
                                {"rate", row.rate},
                                {"p50_us", row.p50_us},
                                {"p99_us", row.p99_us},
                                {"fallback", row.fallback},
                                {"errors", row.failed}});
  }
  return document;
}

/// The table's lines, none wider than a terminal of 80 columns.
std::vector<std::string> lines_of(const std::vector<Traffic>& rows, By by, std::size_t limit) {
  std::vector<std::string> lines;
  char line[160];
  const std::string what = word_of(kBy, by);
  std::snprintf(line, sizeof line, "%8s %7s %7s %6s %6s  %s", "req/s", "p50 ms", "p99 ms", "fallb%", "errs%",
                what.c_str());
  lines.emplace_back(line);
  for (const Traffic& row : rows) {
    if (lines.size() > limit) break;
    std::snprintf(line, sizeof line, "%8s %7s %7s %6s %6s  ", rate_text(row.rate).c_str(),
                  micros_text(row.p50_us).c_str(), micros_text(row.p99_us).c_str(), percent(row.fallback).c_str(),
                  percent(row.failed).c_str());
    const std::string numbers = line;
    lines.push_back(numbers + shortened(row.name, kWidth - numbers.size()));
  }
  if (rows.empty()) lines.emplace_back("nothing was asked");
  if (rows.size() > limit) lines.push_back("and " + count_text(rows.size() - limit) + " more");
  return lines;
}

/// The keyboard, letter by letter, as long as it lives; nothing where there is no terminal. A signal to end counts as
/// the letter q, so that the terminal is left as it was.
class Keyboard {
 public:
  explicit Keyboard(const StopSignals& stop)
      : stop_(stop), is_there_(isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!is_there_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~Keyboard() {
    if (is_there_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;

  /// Waits so long for a letter; 0: none came.
  char wait(std::int64_t us) const {
    std::array<pollfd, 2> polled = {{{stop_.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
    char letter = 0;
    poll(polled.data(), is_there_ ? 2 : 1, static_cast<int>(us / 1000) + 1);
    if (stop_.requested()) return 'q';
    return polled[1].revents != 0 && read(STDIN_FILENO, &letter, 1) == 1 ? letter : '\0';
  }

 private:
  const StopSignals& stop_;
  termios before_{};
  const bool is_there_;
};

class Top {
 public:
  Top(const TopOptions& options, const Shared& shared)
      : options_(options), shared_(shared), by_(kBy.at(options.by)), sort_(kSort.at(options.sort)) {}

  Status run() {
    ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(shared_.cluster));
    asker_.insecure = may_be_insecure(shared_, cluster);
    ASSIGN_OR_RETURN(asker_.key, own_key(shared_));
    const StopSignals stop;  // before there are threads
    RETURN_IF_ERROR(begin());
    const Keyboard keyboard(stop);
    for (;;) {
      const std::int64_t end_us = Clock::system().monotonic_us() + static_cast<std::int64_t>(options_.interval * 1e6);
      for (std::int64_t left_us = 0; (left_us = end_us - Clock::system().monotonic_us()) > 0;) {
        const char letter = keyboard.wait(left_us);
        if (letter == 'q') return {};
        if (letter != 0 && take(letter)) RETURN_IF_ERROR(begin());
      }
      RETURN_IF_ERROR(show());
      if (options_.once || std::ferror(stdout) != 0) return {};  // nobody reads it any more
    }
  }

 private:
  Status begin() {
    ASSIGN_OR_RETURN(endpoints_, endpoints_of(shared_, by_));
    ASSIGN_OR_RETURN(before_, look(endpoints_, asker_, by_));
    before_us_ = Clock::system().monotonic_us();
    return {};
  }

  /// True: the looks before are of something else.
  bool take(char letter) {
    const std::map<char, By> by = {{'t', By::tenant}, {'m', By::model}, {'s', By::shard}, {'v', By::version}};
    const std::map<char, Sort> sort = {{'r', Sort::rate},     {'5', Sort::p50},    {'9', Sort::p99},
                                       {'f', Sort::fallback}, {'e', Sort::errors}, {'n', Sort::name}};
    if (const auto found = sort.find(letter); found != sort.end()) sort_ = found->second;
    const auto found = by.find(letter);
    if (found == by.end() || found->second == by_) return false;
    by_ = found->second;
    return true;
  }

  Status show() {
    ASSIGN_OR_RETURN(Look now, look(endpoints_, asker_, by_));
    const std::int64_t now_us = Clock::system().monotonic_us();
    const std::vector<Traffic> rows = traffic_between(before_, now, by_, sort_);
    const double seconds = static_cast<double>(now_us - before_us_) / 1e6;
    before_ = std::move(now);
    before_us_ = now_us;
    if (shared_.json) {
      print_line(document_of(rows, by_, seconds).dump(-1, ' ', false, json::error_handler_t::replace));
      return {};
    }
    const bool is_screen = isatty(STDOUT_FILENO) == 1 && !options_.once;
    // Home and clear; a dumb terminal or a pipe gets one table after the other.
    if (is_screen) print_line("\x1b[H\x1b[J\x1b[7mespalier top\x1b[0m  t m s v: by what   r 5 9 f e n: order   q: end");
    for (const std::string& line : lines_of(rows, by_, options_.limit)) print_line(line);
    if (!is_screen && !options_.once) print_line("");
    return {};
  }

  const TopOptions options_;
  const Shared& shared_;
  By by_;
  Sort sort_;
  Asker asker_;
  std::vector<std::string> endpoints_;
  Look before_;
  std::int64_t before_us_ = 0;
};

}  // namespace

Status run_top(const TopOptions& options, const Shared& shared) { return Top(options, shared).run(); }

}  // namespace espalier::cli
