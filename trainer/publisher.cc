#include "trainer/publisher.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "common/clock.h"
#include "model/ids.h"

namespace espalier::trainer {
namespace {

constexpr std::size_t kUploadBytes = 2u << 20;  ///< of one message, about
constexpr std::size_t kUploadArtefacts = 4096;
constexpr std::size_t kMostUnanswered = 4;
constexpr std::size_t kVersionsABody = 1024;
constexpr std::int64_t kUploadTimeoutUs = 60'000'000;
constexpr std::int64_t kPublishTimeoutUs = 120'000'000;
constexpr std::size_t kMostFailuresNamed = 5;

}  // namespace

Status Publisher::await_one(std::size_t& unanswered) {
  client::Answer answer;
  while (!registry_.poll(answer, 1'000'000)) {
  }
  --unanswered;
  return client::RegistryClient::reply_to<wire::UploadRequest>(answer).status();
}

Status Publisher::upload(const TrainedTree& tree) {
  std::unordered_set<Hash256> sent;
  std::size_t unanswered = 0;
  wire::UploadRequest request{.tenant = tree.tenant, .artefacts = {}};
  std::vector<std::string> bodies;
  std::size_t bytes = 0;
  const auto flush = [&]() -> Status {
    if (bodies.empty()) return {};
    while (unanswered >= kMostUnanswered) RETURN_IF_ERROR(await_one(unanswered));
    registry_.post(request, std::move(bodies), kUploadTimeoutUs);
    ++unanswered;
    request.artefacts.clear();
    bodies.clear();
    bytes = 0;
    return {};
  };
  for (const TrainedNode& node : tree.nodes) {
    if (!sent.insert(node.hash).second) continue;
    if (bytes + node.artefact.size() > kUploadBytes || bodies.size() == kUploadArtefacts) RETURN_IF_ERROR(flush());
    request.artefacts.push_back(node.hash);
    bodies.push_back(node.artefact);
    bytes += node.artefact.size();
  }
  RETURN_IF_ERROR(flush());
  while (unanswered > 0) RETURN_IF_ERROR(await_one(unanswered));
  return {};
}

Result<Published> Publisher::publish(const model::Spec& spec, const TrainedTree& tree, const PublishAs& as) {
  const std::int64_t start = Clock::system().monotonic_us();
  RETURN_IF_ERROR(upload(tree).at("upload"));
  Published published;
  published.upload_seconds = static_cast<double>(Clock::system().monotonic_us() - start) * 1e-6;

  wire::PublishRequest request;
  request.idem = uuids_.next();
  request.tenant = tree.tenant;
  request.model = spec.model;
  request.tag = as.tag;
  request.release = uuids_.next();
  request.spec_json = spec.json();
  request.fields = tree.inputs;
  request.run_json = as.run_json;
  request.expected_release = as.expected_release;
  const Hash256 spec_hash = spec.hash();
  std::vector<Uuid> versions;
  std::vector<wire::VersionRecord> records;
  std::vector<std::string> bodies;
  for (const TrainedNode& node : tree.nodes) {
    wire::VersionRecord& record = records.emplace_back();
    record.version = uuids_.next();
    record.partition = node.partition.values();
    record.artefact = node.hash;
    record.artefact_bytes = node.artefact.size();
    record.spec = spec_hash;
    record.release = request.release;
    if (!versions.empty()) record.parent = versions[node.parent];
    record.rows = node.rows;
    record.metrics_json = metrics_json(node, spec.task);
    record.lineage_json = as.lineage_json;
    record.description = as.description;
    record.properties = as.properties;
    versions.push_back(record.version);
    published.artefact_bytes += node.artefact.size();
    if (records.size() == kVersionsABody) {
      bodies.push_back(wire::encode_array(records));
      records.clear();
    }
  }
  if (!records.empty()) bodies.push_back(wire::encode_array(records));
  const Result<wire::ReleaseReply> reply = registry_.call(request, std::move(bodies), kPublishTimeoutUs);
  if (!reply.ok()) return reply.status().at("publish");
  published.release = reply->release.is_nil() ? request.release : reply->release;
  published.generation = reply->generation;
  published.epoch = reply->epoch;
  versions_.insert(versions.begin(), versions.end());
  return published;
}

Status Publisher::wait_until_served(std::uint64_t epoch, std::int64_t wait_us) {
  wire::WaitRequest request;
  request.epoch = epoch;
  request.wait_us = wait_us;
  ASSIGN_OR_RETURN(wire::WaitReply reply, registry_.call(request));
  // Shards name all that they can't serve now; what others have published is not our matter.
  std::erase_if(reply.failed, [&](const wire::AckFailure& failure) { return !versions_.contains(failure.version); });
  if (!reply.failed.empty()) {
    std::string text = "published, but " + std::to_string(reply.failed.size()) + " nodes are not served:";
    for (std::size_t i = 0; i < std::min(reply.failed.size(), kMostFailuresNamed); ++i) {
      const wire::AckFailure& failure = reply.failed[i];
      const auto partition = model::Partition::from_values(failure.partition);
      text += " " + failure.tenant + "/" + failure.model + "@" + (partition.ok() ? partition->text() : "?") + " (" +
              failure.why + ")";
    }
    return corrupt(text);
  }
  if (reply.served) return {};
  std::string names;
  for (const std::string& shard : reply.missing) names += (names.empty() ? "" : ", ") + shard;
  return unavailable("published, but not acknowledged by " + (names.empty() ? "any shard" : names));
}

}  // namespace espalier::trainer
