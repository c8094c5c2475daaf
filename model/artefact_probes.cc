#include "model/artefact_probes.h"

#include <cassert>
#include <cmath>
#include <cstring>

#include "common/bytes.h"
#include "model/artefact_layout.h"

namespace espalier::model {
namespace {

/// Takes a T off the front. REQUIRES: that many bytes.
template <class T>
T take(std::string_view& rest) {
  const T value = load<T>(rest.data());
  rest.remove_prefix(sizeof(T));
  return value;
}

Value take_value(std::string_view& rest) {
  switch (static_cast<ProbeInput>(take<std::uint8_t>(rest))) {
    case ProbeInput::missing: break;
    case ProbeInput::number: return Value::of(take<double>(rest));
    case ProbeInput::text: {
      const auto size = take<std::uint32_t>(rest);
      const std::string_view text = rest.substr(0, size);
      rest.remove_prefix(size);
      return Value::of(text);
    }
  }
  return {};
}

Status check_value(const Field& field, std::string_view& rest) {
  if (rest.empty()) return corrupt("ends before " + field.name);
  const auto kind = take<std::uint8_t>(rest);
  if (kind == static_cast<std::uint8_t>(ProbeInput::missing)) return {};
  if (kind > static_cast<std::uint8_t>(ProbeInput::text)) return corrupt(field.name + " has an unknown kind");
  const bool is_text = kind == static_cast<std::uint8_t>(ProbeInput::text);
  if (is_text != (field.type == FieldType::text)) return corrupt(field.name + " is not of the field's type");
  if (!is_text) {
    if (rest.size() < sizeof(double)) return corrupt("ends in " + field.name);
    if (!std::isfinite(take<double>(rest))) return corrupt(field.name + " is not finite");
    return {};
  }
  if (rest.size() < sizeof(std::uint32_t)) return corrupt("ends in " + field.name);
  const auto size = take<std::uint32_t>(rest);
  if (rest.size() < size) return corrupt("ends in " + field.name);
  rest.remove_prefix(size);
  return {};
}

}  // namespace

Result<ProbeReader> ProbeReader::open(std::string_view section, bool is_there, std::span<const Field> fields,
                                      std::size_t outputs) {
  ProbeReader reader;
  reader.outputs_ = outputs;
  if (!is_there) return reader;
  if (section.size() < sizeof(std::uint32_t)) return corrupt("probes end before their count");
  std::string_view rest = section;
  reader.count_ = take<std::uint32_t>(rest);
  reader.rest_ = rest;
  if (reader.count_ == 0 || reader.count_ > kMaxProbes) return corrupt("probes.count is 0 or beyond the limit");
  for (std::uint32_t number = 0; number < reader.count_; ++number) {
    const Status checked = reader.check_probe(fields, rest);
    if (!checked.ok()) return checked.at("probes[" + std::to_string(number) + "]");
  }
  if (!rest.empty()) return corrupt("bytes after the last probe");
  return reader;
}

Status ProbeReader::check_probe(std::span<const Field> fields, std::string_view& rest) const {
  for (const Field& field : fields) RETURN_IF_ERROR(check_value(field, rest));
  if (rest.size() < outputs_ * sizeof(double)) return corrupt("ends in what it expects");
  for (std::size_t i = 0; i < outputs_; ++i) {
    if (!std::isfinite(take<double>(rest))) return corrupt("expects a number that is not finite");
  }
  return {};
}

void ProbeReader::next(std::span<Value> inputs, std::vector<double>& expected) {
  for (Value& input : inputs) input = take_value(rest_);
  expected.resize(outputs_);
  for (double& number : expected) number = take<double>(rest_);
}

std::string encode_probes(const std::vector<Probe>& probes) {
  std::string bytes;
  append(bytes, static_cast<std::uint32_t>(probes.size()));
  for (const Probe& probe : probes) {
    for (const Value& input : probe.inputs) {
      switch (input.kind) {
        case Value::Kind::missing: append(bytes, ProbeInput::missing); break;
        case Value::Kind::number:
          append(bytes, ProbeInput::number);
          append(bytes, input.number);
          break;
        case Value::Kind::text:
          append(bytes, ProbeInput::text);
          append(bytes, static_cast<std::uint32_t>(input.text.size()));
          bytes.append(input.text);
          break;
      }
    }
    for (const double number : probe.expected) append(bytes, number);
  }
  return bytes;
}

}  // namespace espalier::model
