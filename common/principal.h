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
  bool manage = false;  ///< erase the tenant
};

class Principal {
 public:
  /// May do nothing until something is granted.
  explicit Principal(std::string name) : name_(std::move(name)) {}

  /// The operator of this machine: ipc in a private folder, or loopback. May do everything.
  static Principal local() { return std::move(Principal("local").grant_everything()); }

  Principal& grant(std::string tenant, TenantRights rights) {
    tenants_[std::move(tenant)] = rights;
    return *this;
  }
  /// The same for every tenant that there is or will be.
  Principal& grant_all(TenantRights rights) {
    all_ = rights;
    return *this;
  }
  /// Part of the cluster: may read the view, the change feed and every tenant's models, what tags name and artefacts,
  /// join, leave and acknowledge.
  Principal& grant_cluster() {
    cluster_ = true;
    return *this;
  }
  /// A router: says for whom it asks, and is believed. What tags name and artefacts are not for it.
  Principal& grant_routing() {
    routes_ = true;
    return grant_cluster();
  }
  /// A shard: part of the cluster under its own name only.
  Principal& grant_serving() {
    serves_ = true;
    return grant_cluster();
  }
  /// Whoever runs the cluster: may do everything.
  Principal& grant_everything() {
    everything_ = true;
    return *this;
  }

  const std::string& name() const { return name_; }
  bool may_serve() const { return everything_ || cluster_; }
  bool may_operate() const { return everything_; }
  /// Whether requests may name somebody else for whom they are made.
  bool may_route() const { return everything_ || routes_; }
  /// Whether it may enter the view, and speak, as this shard.
  bool may_serve_as(std::string_view shard) const {
    if (everything_) return true;
    return cluster_ && (!serves_ || name_ == shard) && !routes_;
  }
  bool may_read(std::string_view tenant) const { return everything_ || rights(tenant).read; }
  /// Which models the tenant has: what the change feed tells the whole cluster, too.
  bool may_follow(std::string_view tenant) const { return cluster_ || may_read(tenant); }
  /// What answers for the tenant, with its bytes: what a shard needs for it.
  bool may_hold(std::string_view tenant) const { return holds() || may_read(tenant); }
  bool may_publish(std::string_view tenant) const { return everything_ || rights(tenant).publish; }
  bool may_predict(std::string_view tenant) const { return everything_ || routes_ || rights(tenant).predict; }

  Status check_serve() const { return verdict(may_serve(), "take part in the cluster"); }
  Status check_serve_as(std::string_view shard) const { return verdict(may_serve_as(shard), "be shard", shard); }
  Status check_operate() const { return verdict(may_operate(), "run the cluster"); }
  Status check_read(std::string_view tenant) const { return verdict(may_read(tenant), "read tenant", tenant); }
  Status check_follow(std::string_view tenant) const { return verdict(may_follow(tenant), "read tenant", tenant); }
  Status check_hold(std::string_view tenant) const { return verdict(may_hold(tenant), "read tenant", tenant); }
  /// Of every tenant.
  Status check_hold() const { return verdict(holds(), "hold models"); }
  Status check_publish(std::string_view tenant) const {
    return verdict(may_publish(tenant), "publish for tenant", tenant);
  }
  Status check_manage(std::string_view tenant) const {
    return verdict(everything_ || rights(tenant).manage, "manage tenant", tenant);
  }

 private:
  TenantRights rights(std::string_view tenant) const {
    const auto found = tenants_.find(tenant);
    return found == tenants_.end() ? all_ : found->second;
  }
  bool holds() const { return everything_ || (cluster_ && !routes_); }
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
  bool routes_ = false;
  bool serves_ = false;
  TenantRights all_;  ///< of every tenant that isn't among these
  std::map<std::string, TenantRights, std::less<>> tenants_;
};

}  // namespace espalier
