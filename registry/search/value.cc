#include "registry/search/value.h"

#include <bit>

#include "common/bytes.h"
#include "model/ids.h"

namespace espalier::registry::search {

std::string_view type_name(Type type) {
  switch (type) {
    case Type::number: return "a number";
    case Type::time: return "a time";
    case Type::text: return "text";
    case Type::uuid: return "a UUID";
    case Type::hash: return "a hash";
    case Type::partition: return "a partition";
    case Type::scalar: return "a number or text";
    case Type::tag: return "a tag";
  }
  return "nothing";
}

std::uint64_t sortable_bits(double number) {
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  const auto bits = std::bit_cast<std::uint64_t>(number == 0 ? 0.0 : number);
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

std::string sortable(double number) {
  std::string bytes;
  append_u64_be(bytes, sortable_bits(number));
  return bytes;
}

std::string as_key(std::uint64_t number) {
  std::string bytes;
  append_u64_be(bytes, number);
  return bytes;
}

std::string complement(std::string_view bytes) {
  std::string turned(bytes);
  for (char& c : turned) c = static_cast<char>(~c);
  return turned;
}

void append_sortable(std::string& to, const Value& value, bool descending) {
  std::string bytes;
  if (is_missing(value)) {
    to.push_back('\x03');
    return;
  }
  if (const double* number = std::get_if<double>(&value)) {
    to.push_back('\x01');
    bytes = sortable(*number);
  } else {
    to.push_back('\x02');
    model::append_component(bytes, std::get<std::string>(value));
  }
  to.append(descending ? complement(bytes) : bytes);
}

}  // namespace espalier::registry::search
