// The commands of `espalier`: what each was asked for, and the function that does it.
//
// A command prints its result on stdout (as one JSON document with `json`) and returns ok, or the failure that main()
// prints on stderr. Exit codes: 0 done, 1 failed, 2 the command line was wrong. Thread safety: one command runs in a
// process, on the main thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"
#include "model/ids.h"

namespace espalier::cli {

/// What all commands share.
struct Shared {
  std::string cluster;  ///< folder of the cluster: --cluster or ESPALIER_CLUSTER
  std::string key;      ///< file of the key that says who asks: --key or ESPALIER_KEY; empty: none
  bool json = false;
  std::string log_format = "text", log_level = "info";  ///< of what goes to stderr, and of the processes of `up`
  bool insecure = false;                                ///< may connect where others could listen: --insecure
};

struct UpOptions {
  std::string dir;
  std::uint32_t shards = 2;
  std::uint32_t routers = 1;
  std::uint32_t workers = 1;               ///< threads of each shard
  bool tcp = false;                        ///< inside the cluster too
  bool insecure = false;                   ///< without keys, where others could connect too; for measuring
  std::uint64_t keep_changes = 1'000'000;  ///< epochs whose changes stay in the registry's feed; 0: all
  std::string verify = "admission";        ///< when shards check what answers: admission, always
  std::uint64_t memory_budget = 0;         ///< bytes of artefacts that may answer, in each shard; 0: none
  std::uint64_t disk_budget = 0;           ///< bytes of artefacts' files, in each shard; 0: none
  double scrub_seconds = 3600;             ///< in which shards check all of it once; 0: never
  bool metrics = false;                    ///< each process tells Prometheus, at a port of this machine
  std::uint32_t lease_ms = 10'000;         ///< a shard that isn't heard of for so long is gone
  std::string log_format, log_level;       ///< of the processes; as in Shared
};
Status run_up(const UpOptions& options, const Shared& shared);
/// How each shard of the view is doing.
Status run_shards(const Shared& shared);

struct TrainOptions {
  std::string spec, data, where, tenant, tenant_column, tag = "production";
  std::string run_name;                 ///< of the run that the registry keeps of it
  std::string description;              ///< of the run and each version
  std::vector<std::string> properties;  ///< KEY=VALUE of the run and each version
  std::uint32_t threads = 0;            ///< 0: all cores
  std::string if_release;               ///< UUID
  bool wait = false;
};
Status run_train(const TrainOptions& options, const Shared& shared);

struct PredictOptions {
  std::string node;
  std::vector<std::string> rows;  ///< JSON objects
  std::string ref, unit;
  bool scores = false;
};
Status run_predict(const PredictOptions& options, const Shared& shared);

struct EvaluateOptions {
  std::string model;  ///< TENANT/MODEL; with tenant_column: MODEL
  std::string data, where, tenant_column, ref;
};
Status run_evaluate(const EvaluateOptions& options, const Shared& shared);

struct BatchOptions {
  std::string model, in, out, where, tenant_column, ref;
};
Status run_batch(const BatchOptions& options, const Shared& shared);

struct VersionsOptions {
  std::string node;
  std::string as_of;  ///< epoch or time; empty: now; here and below
};
Status run_versions(const VersionsOptions& options, const Shared& shared);

struct SearchOptions {
  std::string kind = "versions";
  std::string where, order;
  std::string tenant;
  std::string model;        ///< NAME of the tenant's, or TENANT/MODEL
  std::string as_of;        ///< epoch or time; empty: now
  std::uint64_t limit = 0;  ///< 0: all
};
Status run_search(const SearchOptions& options, const Shared& shared);

struct TagsOptions {
  std::string model;
  std::string tag;  ///< empty: all tags, counted; else the tag's entries
  std::string as_of;
};
Status run_tags(const TagsOptions& options, const Shared& shared);

struct ReleaseOptions {
  std::string model;
  std::string release;  ///< show, move: UUID
  std::string as_of;    ///< list, show
  std::string tag = "production";
  std::string if_release;  ///< move: UUID
  std::string note;
  bool wait = false;
};
Status run_release_list(const ReleaseOptions& options, const Shared& shared);
Status run_release_show(const ReleaseOptions& options, const Shared& shared);
Status run_release_move(const ReleaseOptions& options, const Shared& shared);

struct ExplainOptions {
  std::string node;
  std::string tag = "production";
  std::string as_of;
};
Status run_explain(const ExplainOptions& options, const Shared& shared);

struct InspectOptions {
  std::string artefact;  ///< a file, or a version's UUID
  std::string model;     ///< of the version: TENANT/MODEL
};
Status run_inspect(const InspectOptions& options, const Shared& shared);

struct SampleDataOptions {
  std::string file;
  std::uint64_t rows = 60000;
  std::uint64_t seed = 1;
};
Status run_sample_data(const SampleDataOptions& options, const Shared& shared);

}  // namespace espalier::cli
