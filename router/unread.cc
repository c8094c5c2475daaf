#include "router/unread.h"

#include <algorithm>
#include <utility>

namespace espalier::router {
namespace {

/// Connections that have read everything are forgotten when there are more.
constexpr std::size_t kManyConnections = 1024;

Status overloaded(std::uint64_t bytes) {
  return {Code::overloaded, std::to_string(bytes >> 20) + " MiB of replies are still to be read by this connection"};
}

}  // namespace

Status Unread::refuse_full(std::string_view connection) const {
  const auto it = connections_.find(connection);
  if (it == connections_.end()) return {};
  const std::uint64_t held = it->second->now();
  const bool is_too_much = held >= limits_.unread_of_connection / 2 || (held > 0 && is_crowded(held));
  return is_too_much ? overloaded(held) : Status();
}

/// While all leave too much unread, a connection may leave as much as an equal part of it: who doesn't read is no
/// reason to refuse who does.
bool Unread::is_crowded(std::uint64_t bytes) const {
  if (all_->now() < limits_.unread_in_all) return false;
  const auto holding = std::ranges::count_if(connections_, [](const auto& each) { return each.second->now() > 0; });
  return bytes > limits_.unread_in_all / static_cast<std::uint64_t>(holding + 1);
}

Status Unread::take_large(std::string_view connection, wire::Frame& last, std::uint64_t bytes) {
  auto it = connections_.find(connection);
  if (it == connections_.end()) {
    if (connections_.size() >= kManyConnections) {
      std::erase_if(connections_, [](const auto& each) { return each.second->now() == 0; });
    }
    it = connections_.emplace(connection, std::make_shared<wire::HeldBytes>()).first;
  }
  const std::uint64_t held = it->second->now();
  const bool is_too_much = held > 0 && held + bytes > limits_.unread_of_connection;
  if (is_too_much || is_crowded(held + bytes)) return overloaded(held);
  wire::HeldBytes::count(last, bytes, it->second, all_);
  return {};
}

}  // namespace espalier::router
