#include "registry/search/index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/search/plain_numbers.h"
#include "registry/search/value.h"

namespace espalier::registry::search {
namespace {

using nlohmann::json;

/// Hears of a JSON document what stands at its top, without making a tree of it.
class TopLevel : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value)); }
  bool number_unsigned(number_unsigned_t value) override { return number(static_cast<double>(value)); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool string(string_t& value) override {
    if (depth_ == 1) on_text(key_, value);
    return true;
  }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ > 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& value) override {
    if (depth_ == 1) key_.swap(value);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 protected:
  virtual void on_number(const std::string&, double) {}
  virtual void on_text(const std::string&, const std::string&) {}

 private:
  bool number(double value) {
    if (depth_ == 1) on_number(key_, value);
    return true;
  }

  int depth_ = 0;
  std::string key_;
};

class Numbers final : public TopLevel {
 public:
  explicit Numbers(std::map<std::string, double>& to) : to_(to) {}

 private:
  void on_number(const std::string& name, double value) override { to_[name] = value; }
  std::map<std::string, double>& to_;
};

class Text final : public TopLevel {
 public:
  Text(std::string_view name, std::string& to) : name_(name), to_(to) {}

 private:
  void on_text(const std::string& name, const std::string& value) override {
    if (name == name_) to_ = value;
  }
  std::string_view name_;
  std::string& to_;
};

/// Calls with each number that has an entry, then with each name that should have one and has not. `plain`: memory for
/// what is read.
template <class Entry, class LeftOut>
void each_metric(const wire::VersionRecord& version, std::vector<NamedNumber>& plain, const Entry& entry,
                 const LeftOut& left_out) {
  std::map<std::string, double> numbers;
  if (!read_plain_numbers(version.metrics_json, plain)) {
    numbers = top_numbers(version.metrics_json);
    plain.clear();
    for (const auto& [name, number] : numbers) plain.push_back({name, number});
  }
  std::size_t count = 0;
  for (const auto& [name, number] : plain) {
    if (!is_indexed_name(name)) continue;
    if (count++ < kMaxIndexedMetrics) {
      entry(name, number);
    } else {
      left_out(name);
    }
  }
}

}  // namespace

bool is_indexed_name(std::string_view name) {
  return name != "rows" && !name.empty() && name.size() <= kMaxIndexedNameBytes &&
         name.find('.') == std::string_view::npos;
}

std::string property_name(std::string_view key) { return std::string("properties.").append(key); }

std::map<std::string, double> top_numbers(std::string_view text) {
  std::map<std::string, double> numbers;
  Numbers sax(numbers);
  if (!text.empty() && !json::sax_parse(text, &sax)) numbers.clear();
  return numbers;
}

std::string top_text(std::string_view text, std::string_view name) {
  std::string found;
  Text sax(name, found);
  if (!text.empty() && !json::sax_parse(text, &sax)) found.clear();
  return found;
}

CommitIndex::CommitIndex(std::string_view tenant, std::string_view model, std::uint64_t epoch,
                         std::uint32_t first_block)
    : tenant_(tenant), model_(model), epoch_(epoch), first_block_(first_block) {}

void CommitIndex::add_attribute(std::string_view name, std::string_view text) {
  if (text.empty() || text.size() > kMaxIndexedTextBytes) return;
  attributes_.emplace(name, text);
}

void CommitIndex::add(const wire::ReleaseRecord& release) {
  add_attribute("principal", release.principal);
  add_attribute("tag", release.tag);
  add_attribute("run", top_text(release.run_json, "run"));
}

void CommitIndex::add(std::string_view components, const wire::VersionRecord& version) {
  const auto place = static_cast<std::uint32_t>(versions_.size());
  if (versions_.empty() || version.lineage_json != last_lineage_) {
    last_lineage_ = version.lineage_json;
    add_attribute("run", top_text(version.lineage_json, "run"));
  }
  if (versions_.empty() || version.spec != last_spec_) {
    last_spec_ = version.spec;
    add_attribute("spec", version.spec.hex());
  }
  if (versions_.empty() || version.principal != last_principal_) {
    last_principal_ = version.principal;
    add_attribute("principal", version.principal);
  }
  if (versions_.empty() || version.properties != last_properties_) {
    last_properties_ = version.properties;
    for (const auto& [key, value] : version.properties) add_attribute(property_name(key), value);
  }
  versions_.push_back({components, version.version});
  each_metric(
      version, plain_,
      [&](std::string_view name, double number) {
        auto at = numbers_.find(name);
        if (at == numbers_.end()) at = numbers_.try_emplace(std::string(name)).first;
        at->second.push_back({sortable_bits(number), place});
      },
      [&](std::string_view name) { left_out_.emplace(name); });
}

void CommitIndex::each_block(const Take& take) const {
  const std::string prefix = keys::index_prefix(tenant_, model_, keys::Index::commits);
  std::vector<Listed> listed = versions_;
  if (!std::ranges::is_sorted(listed, {}, &Listed::version)) std::ranges::sort(listed, {}, &Listed::version);
  std::string block;
  for (std::size_t i = 0; i < listed.size(); ++i) {
    append(block, static_cast<std::uint32_t>(listed[i].components.size()));
    block.append(listed[i].components).append(listed[i].version.view());
    if ((i + 1) % kVersionsInBlock != 0 && i + 1 < listed.size()) continue;
    take(keys::index_block(prefix, epoch_, first_block_ + static_cast<std::uint32_t>(i / kVersionsInBlock)), block);
    block.clear();
  }
}

// In the order of the keys: neighbours land beside each other in the store's memory, which is twice as fast.
void CommitIndex::each_number(const Take& take) const {
  const std::string prefix = keys::index_prefix(tenant_, model_, keys::Index::numbers);
  // They mostly come in the order in which they were made: then places tell which is the earlier.
  const bool ascend = std::ranges::is_sorted(versions_, {}, &Listed::version);
  const auto comes_before = [&](const Number& a, const Number& b) {
    if (a.bits != b.bits) return a.bits < b.bits;
    return ascend ? a.place < b.place : versions_[a.place].version < versions_[b.place].version;
  };
  for (const auto& [name, numbers] : numbers_) {
    const std::string head = keys::index_number(prefix, name);
    std::vector<Number> sorted = numbers;
    std::ranges::sort(sorted, comes_before);
    for (const Number& number : sorted) {
      const Listed& listed = versions_[number.place];
      take(keys::index_number_at(head, number.bits, epoch_, listed.version), listed.components);
    }
  }
}

void CommitIndex::each_entry(const Take& take) const {
  const std::string attributes = keys::index_prefix(tenant_, model_, keys::Index::attributes);
  for (const auto& [name, text] : attributes_) take(keys::index_attribute_at(attributes, name, text, epoch_), {});
  each_block(take);
  const std::string left_out = keys::index_prefix(tenant_, model_, keys::Index::left_out);
  for (const std::string& name : left_out_) take(keys::index_left_out(left_out, name), {});
  each_number(take);
}

void CommitIndex::write(Batch& batch) const {
  each_entry([&](std::string_view key, std::string_view value) { batch.put(key, value); });
}

void each_key_of_version(std::string_view tenant, std::string_view model, const wire::VersionRecord& version,
                         const std::function<void(std::string_view key)>& take) {
  const std::string prefix = keys::index_prefix(tenant, model, keys::Index::numbers);
  std::vector<NamedNumber> plain;
  each_metric(
      version, plain,
      [&](std::string_view name, double number) {
        take(keys::index_number_at(keys::index_number(prefix, name), sortable_bits(number), version.epoch,
                                   version.version));
      },
      [](std::string_view) {});
}

Result<std::vector<ListedVersion>> versions_of_block(std::string_view block) {
  std::vector<ListedVersion> versions;
  while (!block.empty()) {
    const std::size_t size = block.size() < sizeof(std::uint32_t) ? block.size() : load<std::uint32_t>(block.data());
    const std::size_t head = sizeof(std::uint32_t);
    if (block.size() < head + sizeof(Uuid) || size > block.size() - head - sizeof(Uuid)) {
      return corrupt("a block of table X is cut short");
    }
    ASSIGN_OR_RETURN(const Uuid version, Uuid::from_bytes(block.substr(head + size, sizeof(Uuid))));
    versions.push_back({block.substr(head, size), version});
    block.remove_prefix(head + size + sizeof(Uuid));
  }
  return versions;
}

}  // namespace espalier::registry::search
