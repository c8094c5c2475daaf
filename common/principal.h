// Who is asking. Comes from the connection, never from a message; every handler takes one first (architecture: rule 7).
//
// What a principal may not do is refused by its name and the tenant's alone, before anything is looked up: the refusal
// says nothing about what exists. Thread safety: a value.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "common/status.h"

namespace espalier {

/// What a principal may do with one tenant's data.
struct TenantRights {
  bool read = false;     ///< models, versions, releases and artefacts
  bool publish = false;  ///< artefacts, versions and releases
  bool predict = false;
};

class Principal {
 public:
  /// May do nothing until something is granted.
  explicit Principal(std::string name) : name_(std::move(name)) {}

  /// The operator of this machine: ipc in a private folder, or loopback. May do everything.
  static Principal local() {
    Principal principal("local");
    principal.everything_ = true;
    return principal;
  }

  Principal& grant(std::string tenant, TenantRights rights) {
    tenants_[std::move(tenant)] = rights;
    return *this;
  }
  /// Part of the cluster: may read the view and the change feed and every tenant's models, join, leave and acknowledge.
  Principal& grant_cluster() {
    cluster_ = true;
    return *this;
  }

  const std::string& name() const { return name_; }
  bool may_serve() const { return everything_ || cluster_; }
  bool may_read(std::string_view tenant) const { return may_serve() || rights(tenant).read; }
  bool may_publish(std::string_view tenant) const { return everything_ || rights(tenant).publish; }
  bool may_predict(std::string_view tenant) const { return everything_ || rights(tenant).predict; }

  Status check_serve() const { return verdict(may_serve(), "take part in the cluster"); }
  Status check_read(std::string_view tenant) const { return verdict(may_read(tenant), "read tenant", tenant); }
  Status check_publish(std::string_view tenant) const {
    return verdict(may_publish(tenant), "publish for tenant", tenant);
  }

 private:
  TenantRights rights(std::string_view tenant) const {
    const auto found = tenants_.find(tenant);
    return found == tenants_.end() ? TenantRights{} : found->second;
  }
  Status verdict(bool allowed, std::string_view what, std::string_view tenant = {}) const {
    if (allowed) return {};
    std::string message = "principal " + name_ + " may not ";
    message.append(what);
    if (!tenant.empty()) message.append(" ").append(tenant);
    return Status(Code::permission_denied, std::move(message));
  }

  std::string name_;
  bool everything_ = false;
  bool cluster_ = false;
  std::map<std::string, TenantRights, std::less<>> tenants_;
};

}  // namespace espalier
