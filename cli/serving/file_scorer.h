// The rows of a file on their way through the router and back: what `evaluate` and `batch` share.
//
// Rows are read in chunks; a chunk's rows that belong to one partition travel as one part, those of one tenant as one
// request. Several chunks are under way at once; answers are handed over in the file's order. Memory is that of the
// chunks under way, whatever the file's size. What is refused for a while is asked again within its budget. Thread
// safety: one thread. Errors: invalid_argument naming file and line; not_found: no such model; what the router says.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "client/client.h"
#include "common/status.h"
#include "data/frame.h"
#include "data/reader.h"
#include "data/where.h"
#include "model/spec.h"
#include "wire/messages.h"

namespace espalier::cli {

/// The answer to one row; borrowed for the time of the call that hands it over.
struct RowAnswer {
  const client::PredictedPart* part = nullptr;  ///< that the row belongs to: status, provenance, predictions
  std::size_t row = 0;                          ///< of the part

  bool ok() const { return part->status.ok(); }
  double value() const { return part->prediction.value[row]; }
  const std::string& label() const { return part->prediction.label[row]; }
  double probability() const { return part->prediction.probability[row]; }
  /// The probability of `label`; 0 for a label that the model does not know. REQUIRES: all scores were asked for.
  double probability_of(std::string_view label) const;
};

class FileScorer {
 public:
  struct Options {
    std::string model;  ///< TENANT/MODEL; with tenant_column: MODEL
    std::string path, where;
    std::string tenant_column;  ///< empty: all rows belong to the tenant of `model`
    std::string ref;            ///< empty: tag:production
    bool all_scores = false;
    bool all_columns = false;  ///< the frame also has each column of the file as text
  };

  static Result<std::unique_ptr<FileScorer>> open(const Options& options, const Shared& shared);

  /// The model; with a tenant column that of the first tenant that has one.
  const wire::ModelRecord& model() const { return models_.begin()->second->record; }
  const model::Spec& spec() const { return spec_; }
  /// Names of the file's columns.
  const std::vector<std::string>& columns() const { return reader_->columns(); }
  /// Asks for a column beside those that the model reads. REQUIRES: before run().
  void also_read(model::Field field) { fields_.push_back(std::move(field)); }

  /// Hands over each row that passes the filter, in the file's order; a failure that `take` returns ends it.
  using Take = std::function<Status(const data::Frame& frame, std::size_t row, const RowAnswer& answer)>;
  Status run(const Take& take);

 private:
  struct Model {
    wire::ModelRecord record;
    std::vector<std::size_t> columns;  ///< of the frame, by field of the record
  };
  /// Where a row's answer will be.
  struct Place {
    std::uint32_t row;  ///< of the frame
    std::uint32_t part, row_in_part;
  };
  struct Chunk {
    data::Frame frame;
    std::vector<Place> places;
    std::vector<client::PredictedPart> parts;
    std::size_t unanswered = 0;  ///< requests
  };
  struct Sent {
    Chunk* chunk;
    std::vector<std::uint32_t> parts;  ///< of the chunk, in the request's order
    wire::PredictRequest request;      ///< kept with its bodies for asking again
    std::vector<std::string> bodies;
    std::int64_t give_up_us = 0;
  };
  /// The parts of one tenant in a chunk, as they are put together.
  struct Asked {
    const Model* model = nullptr;
    wire::PredictRequest request;
    std::vector<std::vector<model::Value>> values;  ///< by part, row-major
    std::vector<std::uint32_t> parts;
    std::map<std::vector<std::string>, std::size_t> by_partition;
  };

  explicit FileScorer(Options options) : options_(std::move(options)) {}
  Status load_models(const Shared& shared);
  Status bind_columns();
  Result<bool> send_chunk();
  Result<const Model*> model_of(const data::Frame& frame, std::size_t row, std::string& tenant) const;
  std::vector<std::string> partition_of(const Model& model, const data::Frame& frame, std::size_t row) const;
  Status add_row(Chunk& chunk, std::map<std::string, Asked>& asked, std::size_t row);
  Status send(Chunk& chunk, Asked& asked);
  Status submit(Sent sent);
  Status ask_again();
  Status receive();
  void keep_refused_parts(Sent sent, std::int64_t again_us);
  Status hand_over(const Take& take);

  const Options options_;
  std::string tenant_, model_name_;
  std::map<std::string, std::unique_ptr<Model>> models_;  ///< by tenant
  model::Spec spec_;
  data::Where where_;
  std::unique_ptr<data::Reader> reader_;
  std::unique_ptr<client::Client> router_;
  std::vector<model::Field> fields_;
  std::size_t tenant_field_ = 0;
  std::deque<std::unique_ptr<Chunk>> chunks_;
  std::map<client::Ticket, Sent> sent_;
  std::multimap<std::int64_t, Sent> refused_;  ///< overloaded or unavailable, by when to ask again
};

}  // namespace espalier::cli
