#include "tests/unit/shard/table_builder.h"

#include <deque>
#include <stdexcept>

#include "model/features.h"
#include "model/ids.h"

namespace espalier::shard {
namespace {

class NoRows final : public model::Rows {
 public:
  std::size_t count() const override { return 1; }
  void read(std::size_t, std::span<model::Value> out) const override {
    for (model::Value& value : out) value = model::Value::of(1.0);
  }
};

template <class T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().text());
  return *std::move(result);
}

}  // namespace

Uuid uuid_of(unsigned number) {
  Uuid uuid;
  for (std::size_t i = 0; i < 4; ++i) uuid.bytes[15 - i] = static_cast<unsigned char>(number >> (8 * i));
  return uuid;
}

std::string artefact_of(double bias) {
  model::FeatureSet features = must(model::FeatureSet::parse({{"x", "fill(x, 0)"}}));
  model::ArtefactContents contents;
  contents.program = must(features.fit(NoRows()));
  contents.parameters.bias = {static_cast<float>(bias)};
  contents.parameters.weight = {1};
  return must(model::build_artefact(contents, {{model::Value::of(2.0)}}));
}

std::shared_ptr<const Servable> servable_of(double bias) {
  static std::deque<std::string> kept;
  const std::string& bytes = kept.emplace_back(artefact_of(bias));
  return std::make_shared<const Servable>(Servable::Bytes(bytes), must(model::Artefact::open(bytes)),
                                          std::vector<std::uint32_t>{0}, nullptr);
}

std::vector<std::string> values_of(std::string_view partition) {
  return must(model::Partition::parse(partition)).values();
}

Path path_of(std::string_view partition) {
  const std::vector<std::string> values = values_of(partition);
  const std::vector<std::string_view> views(values.begin(), values.end());
  Path path;
  if (!path.assign(views, 3).ok()) throw std::runtime_error("too many levels");
  return path;
}

Model model_of(const std::vector<TagLine>& tags) {
  static const std::shared_ptr<const Servable> servable = servable_of(0);
  Model model;
  model.key = model::model_key("acme", "total");
  model.tenant = "acme";
  model.model = "total";
  model.levels = {"country", "state", "town"};
  model.inputs = std::make_shared<const wire::FieldIndex>(std::vector<model::Field>{{"x", model::FieldType::number}});
  model.schema = 1;
  for (const TagLine& line : tags) {
    Tag tag;
    tag.name = line.name;
    tag.below = line.below;
    tag.release = uuid_of(7000 + static_cast<unsigned>(model.tags.size()));
    SnapshotMap<Node>::Editor nodes(tag.nodes);
    for (const NodeLine& node_line : line.nodes) {
      Node node;
      node.partition = values_of(node_line.partition);
      for (const std::string& value : node.partition) model::append_component(node.key, value);
      node.wanted.version = uuid_of(node_line.version);
      if (node_line.state == "removed") node.kind = wire::EntryKind::removed;
      if (node_line.state == "ready") node.wanted.servable = servable;
      if (node_line.state.starts_with("corrupt")) node.not_ready = wire::Reason::corrupt;
      if (node_line.state.ends_with("+previous")) node.previous = {servable, uuid_of(node_line.version + 100), {}, 1};
      nodes.set(std::make_shared<const Node>(std::move(node)));
    }
    tag.nodes = nodes.finish();
    model.tags.push_back(std::make_shared<const Tag>(std::move(tag)));
  }
  return model;
}

}  // namespace espalier::shard
