#include "registry/operations.h"

#include <algorithm>

#include "model/ids.h"

namespace espalier::registry {

std::string_view right_name(Right right) {
  switch (right) {
    case Right::any_key: return "any key";
    case Right::own: return "own";
    case Right::follow: return "follow";
    case Right::read: return "read";
    case Right::hold: return "hold";
    case Right::hold_all: return "hold all";
    case Right::publish: return "publish";
    case Right::manage: return "manage";
    case Right::whole: return "whole";
    case Right::serve: return "serve";
    case Right::serve_as: return "serve as";
    case Right::operate: return "operate";
  }
  return "";
}

namespace operations {

Status check(Right right, const Principal& principal, std::string_view tenant, std::string_view shard) {
  const bool may_name_none = right == Right::own || right == Right::follow || right == Right::whole;
  const bool is_of_tenant =
      may_name_none ? !tenant.empty()
                    : right == Right::read || right == Right::hold || right == Right::publish || right == Right::manage;
  if (is_of_tenant) RETURN_IF_ERROR(model::check_name("tenant", tenant));
  switch (right) {
    case Right::any_key: return {};
    case Right::own: return is_of_tenant ? principal.check_read(tenant) : Status();
    case Right::follow: return is_of_tenant ? principal.check_follow(tenant) : Status();
    case Right::read: return principal.check_read(tenant);
    case Right::hold: return principal.check_hold(tenant);
    case Right::hold_all: return principal.check_hold();
    case Right::publish: return principal.check_publish(tenant);
    case Right::manage: return principal.check_manage(tenant);
    case Right::whole: return is_of_tenant ? principal.check_read(tenant) : principal.check_operate();
    case Right::serve: return principal.check_serve();
    case Right::serve_as: return principal.check_serve_as(shard);
    case Right::operate: return principal.check_operate();
  }
  return principal.check_operate();
}

}  // namespace operations

void hide_shards(const Principal& principal, std::vector<std::string>& names) {
  if (!principal.may_serve()) std::ranges::fill(names, "a shard");
}

}  // namespace espalier::registry
