#include "tests/unit/registry/registry_fixture.h"

#include <cstring>

#include "common/bytes.h"
#include "model/artefact.h"
#include "model/spec.h"

namespace espalier::registry {
namespace {

template <class T>
T must(Result<T> result) {
  EXPECT_OK(result);
  if (!result.ok()) std::abort();
  return *std::move(result);
}

/// Two rows whose values say nothing in particular.
class TwoRows final : public model::Rows {
 public:
  explicit TwoRows(const std::vector<model::Field>& fields) : fields_(fields) {}
  std::size_t count() const override { return 2; }
  void read(std::size_t row, std::span<model::Value> out) const override {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const bool number = fields_[i].type == model::FieldType::number;
      out[i] = number ? model::Value::of(row + 1.0) : model::Value::of(row == 0 ? "a" : "b");
    }
  }

 private:
  const std::vector<model::Field>& fields_;
};

std::string artefact(model::ArtefactContents contents, const std::vector<model::Field>& fields) {
  std::vector<model::FeatureDefinition> features;
  for (const auto& field : fields) {
    const bool number = field.type == model::FieldType::number;
    features.push_back({field.name, number ? "standardise(" + field.name + ")" : "onehot(" + field.name + ")"});
  }
  const auto set = must(model::FeatureSet::parse(features));
  contents.program = must(set.fit(TwoRows(set.inputs())));
  const auto program = must(model::Program::open(contents.program));
  contents.parameters.weight.assign(program.feature_count(), 0.5f);
  std::vector<model::Value> probe(set.inputs().size());
  TwoRows(set.inputs()).read(0, probe);
  return must(model::build_artefact(contents, {probe}));
}

std::string line(const std::vector<wire::TagEntry>& entries) {
  std::string text;
  for (const auto& entry : entries) {
    std::string path;
    for (const auto& value : entry.partition) path += (path.empty() ? "" : "/") + value;
    text += (text.empty() ? "" : " ") + (path.empty() ? "/" : path) + "=";
    if (entry.kind == wire::EntryKind::removed) text += "removed";
    if (entry.kind == wire::EntryKind::unset) text += "unset";
    if (entry.kind == wire::EntryKind::version) {
      text += std::to_string(load_u32_be(reinterpret_cast<const char*>(entry.version.bytes.data()) + 12));
    }
  }
  return text;
}

}  // namespace

Uuid uuid(char kind, std::uint32_t number) {
  std::string raw(12, kind);
  append_u32_be(raw, number);
  return *Uuid::from_bytes(raw);
}

std::string small_artefact(float bias, const std::vector<model::Field>& fields) {
  model::ArtefactContents contents;
  contents.parameters.bias = {bias};
  return artefact(std::move(contents), fields);
}

std::string artefact_on(const Hash256& base, float bias) {
  model::ArtefactContents contents;
  contents.base = base;
  contents.parameters.bias = {bias};
  return artefact(std::move(contents), {{"age", model::FieldType::number}});
}

std::string binary_artefact() {
  model::ArtefactContents contents;
  contents.task = model::Task::binary;
  contents.classes = {"no", "yes"};
  contents.parameters.bias = {0};
  return artefact(std::move(contents), {{"age", model::FieldType::number}});
}

std::string spec_json(const std::string& model, const Path& levels, model::Task task) {
  model::Spec spec;
  spec.model = model;
  spec.task = task;
  spec.target.column = "y";
  spec.levels = levels;
  spec.features = {{"age", "standardise(age)"}};
  return spec.json();
}

void RegistryFixture::open() {
  registry_.reset();
  RegistryOptions options;
  options.store.env = &env_;
  options.upkeep_slice_us = 0;
  registry_ = must(Registry::open(files_, clock_, folder_.path(), options));
}

Hash256 RegistryFixture::upload(const std::string& bytes, const std::string& tenant) {
  const Hash256 hash = blake2b_256(bytes);
  EXPECT_OK(registry_->upload(local_, {tenant, {hash}}, {bytes}));
  return hash;
}

Proposal RegistryFixture::propose(std::uint32_t release, const std::vector<Node>& nodes, const std::string& tag) {
  Proposal proposal;
  wire::PublishRequest& request = proposal.request;
  request.idem = uuid('i', release);
  request.tenant = "acme";
  request.model = "total";
  request.tag = tag;
  request.release = uuid('r', release);
  request.spec_json = spec_json("total", {"country", "state"});
  request.fields = {{"age", model::FieldType::number}};
  for (const Node& node : nodes) {
    wire::VersionRecord version;
    version.version = uuid('v', node.version);
    version.partition = node.partition;
    version.artefact = upload(small_artefact(node.bias));
    version.rows = 100;
    version.metrics_json = R"({"rmse": 1.5})";
    proposal.versions.push_back(std::move(version));
  }
  return proposal;
}

Result<wire::ReleaseReply> RegistryFixture::publish(const Proposal& proposal) {
  const std::string body = wire::encode_array(proposal.versions);
  return registry_->publish(local_, proposal.request, {body});
}

Result<wire::ReleaseReply> RegistryFixture::move(std::uint32_t release, const std::vector<wire::TagEntry>& entries,
                                                 const std::string& tag) {
  wire::MoveRequest request;
  request.idem = uuid('i', release);
  request.tenant = "acme";
  request.model = "total";
  request.tag = tag;
  request.release = uuid('r', release);
  const std::string body = wire::encode_array(entries);
  return registry_->move(local_, request, {body});
}

Result<wire::ReleaseReply> RegistryFixture::roll_back(std::uint32_t release, std::uint32_t from,
                                                      const std::string& tag) {
  wire::MoveRequest request;
  request.idem = uuid('i', release);
  request.tenant = "acme";
  request.model = "total";
  request.tag = tag;
  request.release = uuid('r', release);
  request.from_release = uuid('r', from);
  return registry_->move(local_, request, {});
}

Result<wire::EpochReply> RegistryFixture::join(const std::string& shard, std::uint32_t idem) {
  wire::JoinRequest request;
  request.idem = uuid('j', idem);
  request.shard = {shard, {"ipc:///" + shard}, 1};
  return registry_->join(local_, request);
}

std::string RegistryFixture::state(std::uint64_t epoch, const std::string& tag, std::uint32_t page, const Path& under) {
  wire::TagEntriesRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.tag = tag;
  request.epoch = epoch;
  request.limit = page;
  request.under = under;
  std::vector<wire::TagEntry> entries;
  do {
    const auto reply = registry_->tag_entries(local_, request);
    if (!reply.ok()) return reply.status().text();
    EXPECT_LE(reply->entries.size(), page);
    entries.insert(entries.end(), reply->entries.begin(), reply->entries.end());
    request.cursor = reply->cursor;
  } while (!request.cursor.empty());
  return line(entries);
}

std::string RegistryFixture::moved(std::uint64_t epoch, std::uint32_t page) {
  wire::ChangedEntriesRequest request;
  request.epoch = epoch;
  request.limit = page;
  std::vector<wire::TagEntry> entries;
  do {
    const auto reply = registry_->changed_entries(local_, request);
    if (!reply.ok()) return reply.status().text();
    EXPECT_LE(reply->entries.size(), page);
    entries.insert(entries.end(), reply->entries.begin(), reply->entries.end());
    request.cursor = reply->cursor;
  } while (!request.cursor.empty());
  return line(entries);
}

}  // namespace espalier::registry
