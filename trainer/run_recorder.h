// Takes down a training as a run, one for each tenant, and what it was trained from as a dataset (docs/runs.md).
//
// Thread safety: belongs to one thread. Ownership: borrows the client. Errors: the registry's.
#pragma once

#include <string>
#include <vector>

#include "client/registry_client.h"
#include "common/status.h"
#include "common/uuid.h"
#include "model/properties.h"
#include "model/spec.h"
#include "trainer/lineage.h"
#include "trainer/source.h"
#include "trainer/train.h"

namespace espalier::trainer {

/// What people say of the run.
struct RunAs {
  std::string name, description;
  model::Properties properties;
};

class RunRecorder {
 public:
  RunRecorder(client::RegistryClient& registry, UuidSource& uuids) : registry_(registry), uuids_(uuids) {}

  /// Puts the datasets and starts the runs of all tenants of the source.
  Status start(const model::Spec& spec, const SourceOptions& options, const Source& source, const RunAs& as);
  /// Where versions of that tenant come from. REQUIRES: it was started.
  Origin origin_of(const std::string& tenant) { return of(tenant).origin; }
  /// Logs how the tree came out.
  Status log(const model::Spec& spec, const TrainedTree& tree, double read_seconds);
  /// Ends the run of that tenant as finished: its release is published. Where that fails the run stays running; fail()
  /// passes it over.
  Status finish(const std::string& tenant);
  /// Ends the runs that were not finished as failed. What can't be ended stays running; nor
  /// are the others ended where the registry doesn't answer.
  void fail(const Status& why);

 private:
  struct Started {
    std::string tenant;
    Origin origin;
    bool may_fail = true;  ///< its release isn't published yet
  };
  Started& of(const std::string& tenant);
  /// Asks without waiting: thousands of tenants share the registry's syncs.
  template <class Request>
  Status post(const Request& request);
  Status await_one();
  Status end(const Started& started, wire::RunStatus status, const std::string& message);

  client::RegistryClient& registry_;
  UuidSource& uuids_;
  std::vector<Started> runs_;
  std::size_t unanswered_ = 0;  ///< of what was posted
};

}  // namespace espalier::trainer
