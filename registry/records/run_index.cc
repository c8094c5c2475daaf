#include "registry/records/run_index.h"

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/records/params.h"
#include "registry/search/index.h"
#include "registry/search/value.h"

namespace espalier::registry {
namespace {

using keys::RecordIndex;

std::string since(std::uint64_t epoch) {
  std::string value;
  append(value, epoch);
  return value;
}

}  // namespace

RunIndex::RunIndex(const wire::RunRecord& run)
    : tenant_(run.tenant), model_(run.model), place_(keys::run_place(run.epoch, run.run)) {}

void RunIndex::attribute(std::string_view name, std::string_view text, std::uint64_t epoch, const Take& take) const {
  if (text.empty() || text.size() > search::kMaxIndexedTextBytes) return;
  const std::string prefix = keys::record_index(tenant_, model_, RecordIndex::attributes);
  take(keys::index_attribute(prefix, name, text).append(place_), since(epoch));
}

void RunIndex::number(const std::string& name, double number, std::uint64_t epoch, const Take& take) const {
  const std::string prefix = keys::record_index(tenant_, model_, RecordIndex::numbers);
  take(keys::index_number(prefix, name).append(search::sortable(number)).append(place_), since(epoch));
}

void RunIndex::each_at_start(const wire::RunRecord& run, const Take& take) const {
  attribute("name", run.name, run.epoch, take);
  attribute("principal", run.principal, run.epoch, take);
  if (!run.spec.is_none()) attribute("spec", run.spec.hex(), run.epoch, take);
  if (!run.dataset.is_none()) attribute("dataset", run.dataset.hex(), run.epoch, take);
  for (const auto& [key, value] : run.properties) attribute(search::property_name(key), value, run.epoch, take);
  each_of_params({}, run.params_json, run.epoch, take);
}

void RunIndex::each_of_params(std::string_view before, std::string_view params_json, std::uint64_t epoch,
                              const Take& take) const {
  const FlatParams known = flat_params(before);
  for (const auto& [name, value] : flat_params(params_json)) {
    if (known.contains(name)) continue;
    const std::string field = "params." + name;
    if (const double* of = std::get_if<double>(&value)) {
      number(field, *of, epoch, take);
    } else {
      attribute(field, std::get<std::string>(value), epoch, take);
    }
  }
}

void RunIndex::each_at_end(wire::RunStatus status, const std::map<std::string, wire::RunMetric>& metrics,
                           std::uint64_t epoch, const Take& take) const {
  attribute("status", wire::run_status_name(status), epoch, take);
  for (const auto& [name, metric] : metrics) number("metrics." + name, metric.value, epoch, take);
  std::string key = keys::record_index(tenant_, model_, RecordIndex::ended);
  append_u64_be(key, ~epoch);
  take(key.append(place_), {});
}

std::string RunIndex::open_key() const { return keys::record_index(tenant_, model_, RecordIndex::open).append(place_); }

}  // namespace espalier::registry
