#include "router/routes_file.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/bytes.h"
#include "common/hash.h"
#include "model/ids.h"
#include "wire/messages.h"

namespace espalier::router {
namespace {

constexpr std::string_view kMagic = "ESPROUT1";
constexpr std::size_t kChecksumBytes = 8;

template <class T>
Result<T> take_number(std::string_view& rest, const char* what) {
  if (rest.size() < sizeof(T)) return corrupt(std::string("routes: ") + what + " is missing");
  const T value = load<T>(rest.data());
  rest.remove_prefix(sizeof(T));
  return value;
}

Result<std::string_view> take_bytes(std::string_view& rest, std::uint64_t size, const char* what) {
  if (size > rest.size()) return corrupt(std::string("routes: ") + what + " is longer than the file");
  const std::string_view bytes = rest.substr(0, size);
  rest.remove_prefix(size);
  return bytes;
}

Status take_models(std::string_view& rest, SnapshotMap<ModelShape>& models) {
  ASSIGN_OR_RETURN(const auto count, take_number<std::uint64_t>(rest, "the number of models"));
  SnapshotMap<ModelShape>::Editor editor(models);
  std::string_view before;
  for (std::uint64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const auto levels, take_number<std::uint32_t>(rest, "a model's levels"));
    ASSIGN_OR_RETURN(const auto size, take_number<std::uint32_t>(rest, "a key's length"));
    ASSIGN_OR_RETURN(const std::string_view key, take_bytes(rest, size, "a key"));
    if (levels > model::kMaxLevels) return corrupt("routes: a model has " + std::to_string(levels) + " levels");
    if (key <= before) return corrupt("routes: keys are out of order");
    before = key;
    editor.set(std::make_shared<const ModelShape>(ModelShape{std::string(key), levels}));
  }
  models = editor.finish();
  return {};
}

}  // namespace

std::string encode_routes(const Routes& routes) {
  std::vector<const ModelShape*> models;
  models.reserve(routes.models.size());
  routes.models.for_each([&](const auto& model) { models.push_back(model.get()); });
  std::ranges::sort(models, {}, &ModelShape::key);

  std::string bytes(kMagic);
  const std::string view = wire::encode(wire::ViewReply{routes.generation, routes.epoch, routes.view});
  append<std::uint64_t>(bytes, view.size());
  bytes.append(view);
  append<std::uint64_t>(bytes, models.size());
  for (const ModelShape* model : models) {
    append<std::uint32_t>(bytes, model->levels);
    append<std::uint32_t>(bytes, static_cast<std::uint32_t>(model->key.size()));
    bytes.append(model->key);
  }
  append<std::uint64_t>(bytes, xxh3_64(bytes));
  return bytes;
}

Result<std::unique_ptr<Routes>> decode_routes(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + kChecksumBytes || !bytes.starts_with(kMagic)) {
    return corrupt("routes: not a router's routes, or of a newer Espalier");
  }
  const std::string_view checked = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (load<std::uint64_t>(bytes.data() + checked.size()) != xxh3_64(checked)) return corrupt("routes: checksum");
  std::string_view rest = checked.substr(kMagic.size());
  ASSIGN_OR_RETURN(const auto view_bytes, take_number<std::uint64_t>(rest, "the view's length"));
  ASSIGN_OR_RETURN(const std::string_view view_text, take_bytes(rest, view_bytes, "the view"));
  Result<wire::ViewReply> view = wire::decode<wire::ViewReply>(view_text);
  if (!view.ok()) return corrupt("routes: the view: " + view.status().message());
  auto routes = std::make_unique<Routes>(std::move(view->view));
  routes->generation = view->generation;
  routes->epoch = view->epoch;
  RETURN_IF_ERROR(take_models(rest, routes->models));
  if (!rest.empty()) return corrupt("routes: bytes are left over");
  return routes;
}

Result<std::unique_ptr<Routes>> RoutesFile::load() const {
  if (!files_.exists(path_)) return not_found(path_ + ": none was written");
  ASSIGN_OR_RETURN(const std::string bytes, files_.read(path_));
  Result<std::unique_ptr<Routes>> routes = decode_routes(bytes);
  if (!routes.ok()) return routes.status().at(path_);
  return routes;
}

}  // namespace espalier::router
