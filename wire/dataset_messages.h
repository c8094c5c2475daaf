// Datasets: what versions and runs were made from. docs/datasets.md says what for.
// As messages.h: twin of docs/wire-protocol/datasets.md.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/uuid.h"
#include "model/value.h"

namespace espalier::wire {

struct ValueCount {
  std::string value;
  std::uint64_t count = 0;
};
/// What a column holds, read as a type: `count` values, and `missing` rows without one.
struct ColumnProfile {
  std::string name;
  model::FieldType type = model::FieldType::number;
  std::uint64_t count = 0, missing = 0;
  double min = 0, max = 0, mean = 0;  ///< of numbers
  std::string first, last;            ///< of texts that are all dates
  std::uint64_t distinct = 0;         ///< of texts; 0: not counted
  std::vector<ValueCount> top;        ///< of texts, the most frequent first
};
struct DatasetRecord {
  Hash256 dataset;  ///< its fingerprint
  std::string tenant, source, where;
  Hash256 file;  ///< of the bytes of the file that it is rows of
  std::uint64_t rows = 0;
  std::string first, last;  ///< of its first column of dates
  std::vector<ColumnProfile> columns;
  std::map<std::string, std::string> properties;
  std::string principal;
  std::int64_t created_us = 0;
  std::uint64_t epoch = 0;  ///< of the first time that it was put
};

/// A change, answered with EpochReply. A dataset that is there already gets the columns that it lacks.
struct DatasetPutRequest {
  Uuid idem;
  DatasetRecord dataset;  ///< principal, time and epoch are the registry's
  static constexpr std::string_view op = "dataset_put";
};
/// In the order asked.
struct DatasetsRequest {
  std::string tenant;
  std::vector<Hash256> datasets;
  static constexpr std::string_view op = "datasets";
};
struct DatasetsReply {
  std::uint64_t generation = 0, epoch = 0;
  std::vector<DatasetRecord> datasets;
};

}  // namespace espalier::wire
