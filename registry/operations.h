// All that may be asked of a registry, and what whoever asks needs for it: the one place that says so. The server
// answers what is listed here and nothing else; tests walk through the same list.
//
// Rights are looked at by the names in the request alone, before anything is looked up (docs/keys.md). Thread safety:
// pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "common/principal.h"
#include "common/status.h"
#include "registry/registry.h"

namespace espalier::registry {

/// What whoever asks needs.
enum class Right : std::uint8_t {
  any_key,   ///< a key that counts: what is told is about no tenant
  own,       ///< to read the tenant where one is named; else the reply has what concerns the asker's tenants only
  follow,    ///< the same of what the change feed tells the whole cluster
  read,      ///< to read the tenant
  hold,      ///< to answer for the tenant, or to read it
  hold_all,  ///< to answer for every tenant
  publish,   ///< to publish for it
  manage,    ///< to manage it
  whole,     ///< to read the tenant where one is named; else to run the cluster
  serve,     ///< to take part in the cluster
  serve_as,  ///< to be the shard that the request names
  operate,   ///< to run the cluster
};
std::string_view right_name(Right right);

/// One operation: the method that does it, and what it needs.
template <auto Method, Right right>
struct Op;
template <class Reply, class Request, Result<Reply> (Registry::*Method)(const Principal&, const Request&), Right needed>
struct Op<Method, needed> {
  using Asked = Request;
  static constexpr Right right = needed;
  static constexpr auto method = Method;
};
/// With bodies in the request.
template <class Reply, class Request,
          Result<Reply> (Registry::*Method)(const Principal&, const Request&, const Registry::Bodies&), Right needed>
struct Op<Method, needed> {
  using Asked = Request;
  static constexpr Right right = needed;
  static constexpr auto method = Method;
};
/// With bodies in the reply.
template <class Reply, class Request,
          Result<Reply> (Registry::*Method)(const Principal&, const Request&, Registry::Bodies&), Right needed>
struct Op<Method, needed> {
  using Asked = Request;
  static constexpr Right right = needed;
  static constexpr auto method = Method;
};

// The most frequent first: they are looked for from the front.
using Operations = std::tuple<  //
    Op<&Registry::publish, Right::publish>, Op<&Registry::upload, Right::publish>,
    Op<&Registry::run_log, Right::publish>, Op<&Registry::feed, Right::serve>, Op<&Registry::renew, Right::serve_as>,
    Op<&Registry::ack, Right::serve_as>, Op<&Registry::changed_entries, Right::hold_all>,
    Op<&Registry::fetch, Right::hold>, Op<&Registry::tag_entries, Right::hold>, Op<&Registry::models, Right::follow>,
    Op<&Registry::search, Right::own>, Op<&Registry::wait, Right::own>, Op<&Registry::keys, Right::serve>,
    Op<&Registry::view, Right::serve>,
    // Models, versions, releases.
    Op<&Registry::versions, Right::read>, Op<&Registry::releases, Right::read>, Op<&Registry::move, Right::publish>,
    Op<&Registry::rollback, Right::publish>, Op<&Registry::rollback_preview, Right::read>,
    Op<&Registry::release_diff, Right::read>, Op<&Registry::tag_history, Right::read>,
    Op<&Registry::promote, Right::publish>, Op<&Registry::overlay, Right::publish>,
    Op<&Registry::quarantine, Right::publish>, Op<&Registry::import_history, Right::publish>,
    // Runs and datasets.
    Op<&Registry::run_start, Right::publish>, Op<&Registry::run_end, Right::publish>,
    Op<&Registry::run_attach, Right::publish>, Op<&Registry::runs, Right::read>,
    Op<&Registry::run_metrics, Right::read>, Op<&Registry::run_file, Right::read>,
    Op<&Registry::dataset_put, Right::publish>, Op<&Registry::datasets, Right::read>,
    // What is kept and what goes.
    Op<&Registry::retention, Right::read>, Op<&Registry::set_retention, Right::publish>,
    Op<&Registry::collect, Right::publish>, Op<&Registry::erase, Right::manage>, Op<&Registry::receipt, Right::read>,
    Op<&Registry::receipt_items, Right::read>, Op<&Registry::verify_erasure, Right::read>,
    // The cluster.
    Op<&Registry::hello, Right::any_key>, Op<&Registry::status, Right::serve>, Op<&Registry::join, Right::serve_as>,
    Op<&Registry::leave, Right::serve_as>, Op<&Registry::drain, Right::operate>,
    Op<&Registry::set_tenant, Right::operate>, Op<&Registry::key_create, Right::operate>,
    Op<&Registry::key_limit, Right::operate>, Op<&Registry::key_rotate, Right::operate>,
    Op<&Registry::key_revoke, Right::operate>, Op<&Registry::check, Right::operate>,
    Op<&Registry::log_level, Right::operate>, Op<&Registry::process, Right::operate>,
    Op<&Registry::archive, Right::whole>, Op<&Registry::audit, Right::whole>, Op<&Registry::quota, Right::read>,
    Op<&Registry::set_quota, Right::operate>>;

namespace operations {

template <class Request>
constexpr bool kNamesTenant = requires(const Request& request) {
  request.tenant;
}
|| requires(const Request& request) { request.dataset.tenant; };

/// Whose the request is about; empty: nobody's.
template <class Request>
std::string_view tenant_of(const Request& request) {
  if constexpr (requires { request.tenant; }) {
    return request.tenant;
  } else if constexpr (requires { request.dataset.tenant; }) {
    return request.dataset.tenant;
  } else {
    return {};
  }
}

template <class Request>
std::string_view shard_of(const Request& request) {
  if constexpr (requires { request.shard.name; }) {
    return request.shard.name;
  } else if constexpr (requires { request.shard; }) {
    return request.shard;
  } else {
    return {};
  }
}

template <class Request, class... Ops>
consteval Right right_among(const std::tuple<Ops...>*) {
  static_assert((std::is_same_v<Request, typename Ops::Asked> + ...) == 1, "each request is listed once");
  Right right = Right::operate;
  static_cast<void>(((std::is_same_v<Request, typename Ops::Asked> && (right = Ops::right, true)) || ...));
  return right;
}

Status check(Right right, const Principal& principal, std::string_view tenant, std::string_view shard);

}  // namespace operations

template <class Request>
constexpr Right kRightFor = operations::right_among<Request>(static_cast<const Operations*>(nullptr));

/// invalid_argument: no tenant can have that name. permission_denied: what the request needs is lacking; the same text
/// whatever there is.
template <class Request>
Status check_allowed(const Principal& principal, const Request& request) {
  return operations::check(kRightFor<Request>, principal, operations::tenant_of(request),
                           operations::shard_of(request));
}

/// Names of shards are the cluster's matter: others are told how many.
void hide_shards(const Principal& principal, std::vector<std::string>& names);

}  // namespace espalier::registry
