// The server's list of operations, made from registry/operations.h.
#include <utility>

#include "registry/server.h"
#include "registry/server_operations.h"

namespace espalier::registry {
namespace {

constexpr std::int64_t kRetryAfterUs = 500'000;

// What a request that may wait waits for.
bool is_done(const wire::FeedReply& reply) { return !reply.changes.empty() || reply.snapshot_required; }
bool is_done(const wire::WaitReply& reply) { return reply.served; }
bool is_done(const wire::ReceiptReply& reply) { return reply.receipt.finished_us != 0 && reply.missing.empty(); }
bool is_done(const wire::KeysReply& reply) { return !reply.unchanged; }

template <class Op>
constexpr bool kTakesBodies = std::is_invocable_v<decltype(Op::method), Registry&, const Principal&,
                                                  const typename Op::Asked&, const Registry::Bodies&>;
template <class Op>
constexpr bool kIsPlain =
    std::is_invocable_v<decltype(Op::method), Registry&, const Principal&, const typename Op::Asked&>;
template <class Op>
constexpr bool kIsChange = requires(const typename Op::Asked& request) {
  request.idem;
}
|| std::is_same_v<typename Op::Asked, wire::UploadRequest>;

}  // namespace

std::string error_header(const Status& status) {
  const bool passes = status.code() == Code::unavailable || status.code() == Code::overloaded;
  return wire::encode_error(status, passes ? kRetryAfterUs : 0);
}

/// Whatever the method looks at itself: nobody comes to it who lacks what the list says.
template <class Op>
Server::Reply Server::answer_with(std::string_view header, const Registry::Bodies& bodies) {
  using Request = typename Op::Asked;
  Reply reply;
  const auto request = wire::decode<Request>(header);
  Status status = request.ok() ? check_allowed(*principal_, *request) : request.status();
  if (!status.ok()) {
    reply.header = error_header(status);
    return reply;
  }
  if constexpr (requires { request->idem; }) reply.kind = Kind::change;
  if constexpr (std::is_same_v<Request, wire::UploadRequest>) reply.kind = Kind::upload;
  const auto result = [&] {
    if constexpr (kIsPlain<Op>) {
      return (registry_.*Op::method)(*principal_, *request);
    } else if constexpr (kTakesBodies<Op>) {
      return (registry_.*Op::method)(*principal_, *request, bodies);
    } else {
      return (registry_.*Op::method)(*principal_, *request, reply.bodies);
    }
  }();
  if constexpr (requires { is_done(*result); }) {
    if (result.ok() && !is_done(*result)) reply.wait_us = request->wait_us;
  }
  reply.header = result.ok() ? wire::encode_reply(Status(), *result) : error_header(result.status());
  return reply;
}

template <class... Ops>
std::array<Server::Operation, sizeof...(Ops)> Server::list(const std::tuple<Ops...>*) {
  return {Operation{Ops::Asked::op, Ops::right, operations::kNamesTenant<typename Ops::Asked>, kIsChange<Ops>,
                    !kIsPlain<Ops>, &Server::answer_with<Ops>}...};
}

std::span<const Server::Operation> Server::operations() {
  static const auto all = list(static_cast<const Operations*>(nullptr));
  return all;
}

const Server::Operation* Server::find_operation(std::string_view header) {
  const auto op = wire::peek_op(header);
  if (!op.ok()) return nullptr;
  for (const Operation& operation : operations()) {
    if (operation.name == *op) return &operation;
  }
  return nullptr;
}

}  // namespace espalier::registry
