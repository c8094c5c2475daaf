#include "wire/trace.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/cluster_folder.h"
#include "cli/inside/inside_commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/serving/rows.h"
#include "client/client.h"
#include "common/clock.h"
#include "wire/predict_codec.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kHelloUs = 2'000'000;

/// A traced request and what came of it.
struct Traced {
  client::Prediction answer;
  std::int64_t us = 0;  ///< that it took, by this process's clock
  wire::Trace trace;
};

/// What is left of a duration when others, of what lies within it, are taken away.
std::uint64_t rest(std::uint64_t whole, std::uint64_t part) { return whole - std::min(whole, part); }

std::uint64_t on_the_way_us(const wire::TracedAttempt& attempt) {
  return rest(attempt.took_us, attempt.times.waited_us + attempt.times.computed_us);
}

/// Whether the attempt of that number, from 0, is the one that the reply is from.
bool is_used(const client::Prediction& answer, std::size_t number) {
  if (!answer.status.ok() || !answer.parts.front().status.ok()) return false;
  return answer.parts.front().provenance.attempt == number + 1;
}

/// Of a request of one part: from taking it up to its reply, without the time between sending and answer of the one
/// that answered.
std::uint64_t in_router_us(const Traced& traced) {
  for (std::size_t i = 0; i < traced.trace.attempts.size(); ++i) {
    const wire::TracedAttempt& attempt = traced.trace.attempts[i];
    if (attempt.answered && is_used(traced.answer, i)) return rest(traced.trace.us, attempt.took_us);
  }
  return traced.trace.us;
}

Result<Traced> ask(const Shared& shared, const wire::PredictRequest& request, std::string body) {
  ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(shared.cluster));
  client::Exchange::Options options;
  options.peer = "the router";
  options.late = Code::deadline_exceeded;
  options.socket.insecure = may_be_insecure(shared, cluster);
  ASSIGN_OR_RETURN(options.socket.key, own_key(shared));
  ASSIGN_OR_RETURN(auto exchange, client::Exchange::open(cluster.router, options));
  // The connection is made before anything is timed.
  const auto hello = exchange->send(wire::encode(wire::HelloRequest{"client"}), {}, kHelloUs, kHelloUs / 4);
  RETURN_IF_ERROR(exchange->wait_for(hello).status);
  wire::PredictHeader header;
  std::string encoded = wire::encode(request), asked;
  RETURN_IF_ERROR(wire::decode_predict(encoded, header));
  header.trace = true;
  wire::encode_predict(header, asked);
  Traced traced;
  const std::int64_t began_us = Clock::system().monotonic_us();
  const auto ticket = exchange->send(std::move(asked), {std::move(body)}, request.budget_us + kHelloUs, 0);
  const client::Answer answer = exchange->wait_for(ticket);
  traced.us = Clock::system().monotonic_us() - began_us;
  traced.answer = client::read_prediction(answer);
  auto trace = wire::find_trace(answer.header());
  if (!trace.ok() && traced.answer.status.ok()) return trace.status().at("the router is of an older version");
  if (trace.ok()) traced.trace = *std::move(trace);
  return traced;
}

json attempt_json(const wire::TracedAttempt& attempt, std::size_t number) {
  json document = {
      {"attempt", number + 1},        {"shard", attempt.shard},
      {"stand_in", attempt.stand_in}, {"sent_us", attempt.sent_us},
      {"answered", attempt.answered}, {"status", attempt.answered ? json(code_name(attempt.status)) : json(nullptr)},
      {"unready", attempt.unready},   {"took_us", attempt.answered ? json(attempt.took_us) : json(nullptr)}};
  if (attempt.timed) {
    document.update({{"waited_us", attempt.times.waited_us},
                     {"computed_us", attempt.times.computed_us},
                     {"on_the_way_us", on_the_way_us(attempt)}});
  }
  document["nodes"] = json::array();
  if (attempt.times.walks.empty()) return document;
  for (const wire::WalkStep& step : attempt.times.walks.front().steps) {
    document["nodes"].push_back({{"depth", step.depth},
                                 {"level", step.level},
                                 {"answers", step.answers},
                                 {"reason", wire::reason_name(step.reason)},
                                 {"version", uuid_json(step.version)},
                                 {"tag", step.tag.empty() ? json(nullptr) : json(step.tag)}});
  }
  return document;
}

json document_of(const Traced& traced, std::size_t rows) {
  json document = {
      {"us", traced.us},
      {"on_the_way_us", rest(static_cast<std::uint64_t>(traced.us), traced.trace.us)},
      {"router", {{"us", traced.trace.us}, {"sent_us", traced.trace.sent_us}, {"own_us", in_router_us(traced)}}},
      {"attempts", json::array()},
      {"predictions", json::array()},
      {"provenance", nullptr},
      {"error", nullptr}};
  for (std::size_t i = 0; i < traced.trace.attempts.size(); ++i)
    document["attempts"].push_back(attempt_json(traced.trace.attempts[i], i));
  if (!traced.answer.status.ok()) {
    document["error"] = traced.answer.status.text();
    return document;
  }
  const client::PredictedPart& part = traced.answer.parts.front();
  if (!part.status.ok()) {
    document["error"] = part.status.text();
    return document;
  }
  for (std::size_t row = 0; row < rows; ++row) document["predictions"].push_back(prediction_json(part.prediction, row));
  document["provenance"] = provenance_json(part.provenance);
  return document;
}

void print_time(std::uint64_t us, int indent, const std::string& what) {
  char time[32];
  std::snprintf(time, sizeof time, "%10.3f ms  ", static_cast<double>(us) / 1000);
  print_line(time + std::string(static_cast<std::size_t>(2 * indent), ' ') + what);
}

void print_attempt(const wire::TracedAttempt& attempt, std::size_t number) {
  std::string name = "attempt " + std::to_string(number + 1) + ", shard " + attempt.shard;
  if (attempt.stand_in) name += " in the stead of those that hold the node";
  char sent[48];
  std::snprintf(sent, sizeof sent, ", sent %.3f ms after the router took it up",
                static_cast<double>(attempt.sent_us) / 1000);
  if (number > 0) name += sent;
  if (!attempt.answered)
    return print_line(std::string(13, ' ') + "    " + name + ": no answer before the request was over");
  print_time(attempt.took_us, 2,
             name + ": " + (attempt.unready ? "what is wanted isn't there" : std::string(code_name(attempt.status))));
  if (!attempt.timed) return;
  print_time(on_the_way_us(attempt), 3, "on the way to the shard and back");
  print_time(attempt.times.waited_us, 3, "waiting at the shard");
  print_time(attempt.times.computed_us, 3, "at work on it");
}

void print_nodes(const wire::PartWalk& walk, const std::vector<std::string>& asked) {
  Table table({"LEVEL", "NODE", "FOUND", "VERSION"});
  for (const wire::WalkStep& step : walk.steps) {
    const std::vector<std::string> node(asked.begin(), asked.begin() + std::min<std::size_t>(step.depth, asked.size()));
    std::string found = step.answers ? "answers" : std::string(wire::reason_name(step.reason));
    if (step.answers && step.reason != wire::Reason::exact) found += ", " + std::string(wire::reason_name(step.reason));
    table.add({step.level, partition_text(node), found, step.version.is_nil() ? "-" : step.version.text()});
  }
  print_line(table.text());
}

void print_for_people(const Traced& traced, const std::vector<std::string>& asked, std::size_t rows) {
  const auto us = static_cast<std::uint64_t>(traced.us);
  print_time(us, 0, "in all, as this client saw it");
  print_time(rest(us, traced.trace.us), 1, "on the way to the router and back");
  print_time(traced.trace.us, 1, "at the router, from taking it up to its reply");
  print_time(in_router_us(traced), 2, "of that its own, and waiting for others than who answered");
  for (std::size_t i = 0; i < traced.trace.attempts.size(); ++i) print_attempt(traced.trace.attempts[i], i);
  print_line("");
  // Of who answered, else of who was asked last and said anything.
  const wire::PartWalk* walk = nullptr;
  for (std::size_t i = 0; i < traced.trace.attempts.size(); ++i) {
    const wire::TracedAttempt& attempt = traced.trace.attempts[i];
    if (attempt.times.walks.empty()) continue;
    if (walk == nullptr || is_used(traced.answer, i)) walk = &attempt.times.walks.front();
  }
  if (walk != nullptr) print_nodes(*walk, asked);
  if (!traced.answer.status.ok() || !traced.answer.parts.front().status.ok()) return;
  const client::PredictedPart& part = traced.answer.parts.front();
  print_predictions(part.prediction, rows);
  const wire::Provenance& from = part.provenance;
  print_line("answered by " + partition_text(from.served) + ", level " + from.level + ", reason " +
             std::string(wire::reason_name(from.reason)) + ", on shard " + from.shard + " at epoch " +
             std::to_string(from.epoch) + "; prediction " + from.prediction.text());
}

}  // namespace

Status run_trace(const TraceOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  Rows rows;
  for (const std::string& text : options.rows) RETURN_IF_ERROR(add_row(rows, text));
  // Every input has a meaning when it is missing.
  if (rows.rows.empty()) rows.rows.emplace_back();
  wire::PredictRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  if (!options.ref.empty()) request.refs = {options.ref};
  request.budget_us = options.budget_ms * 1000;
  request.parts.push_back({node.partition.values(), "", static_cast<std::uint32_t>(rows.rows.size())});
  ASSIGN_OR_RETURN(const Traced traced, ask(shared, request, wire::encode_rows(rows.rows)));
  if (shared.json) {
    print_json(document_of(traced, rows.rows.size()));
  } else {
    print_for_people(traced, node.partition.values(), rows.rows.size());
  }
  RETURN_IF_ERROR(traced.answer.status);
  return traced.answer.parts.front().status;
}

}  // namespace espalier::cli
