// What goes into an archive of histories: of a tenant's models, or one of them, everything that was ever said of them
// (docs/moving.md has which tables, docs/archive-format.md the bytes). Epochs become numbers of commits, so that the
// same history gives the same records in every registry.
//
// Thread safety: as BlockSource. Errors: not_found: no such model, nor runs of it, as of that epoch;
// failed_precondition: an artefact was collected meanwhile: begin anew; corrupt: a record or an artefact is damaged.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "registry/moving/named_datasets.h"
#include "registry/upkeep/archive_source.h"
#include "wire/moving_messages.h"

namespace espalier::registry {

struct ExportScope {
  std::string tenant, model;  ///< model empty: all of the tenant's
  std::uint64_t until = 0;    ///< nothing that came after that epoch; 0: all
  bool records_only = false;  ///< no artefacts
};

class ExportSource final : public upkeep::BlockSource {
 public:
  static Result<std::unique_ptr<ExportSource>> start(Records& records, const Clock& clock, ExportScope scope);
  bool is_done() const override { return place_ == stages().size(); }

 private:
  using Blocks = std::vector<upkeep::Block>;
  /// A way through one table, or one of the steps between.
  struct Stage {
    char table;  ///< 0: no table; `record` is then called until it is over
    Status (ExportSource::*record)(std::string_view key, std::string_view value, Blocks& blocks);
  };
  struct Commits {
    std::set<std::uint64_t> states;                               ///< epochs of records of M that say something new
    std::map<std::uint64_t, std::uint64_t> numbers;               ///< of commits, by their epochs
    std::unordered_map<std::uint64_t, std::int64_t> imported_us;  ///< times that epochs had where they come from
  };

  ExportSource(Records& records, const Clock& clock, ExportScope scope)
      : BlockSource(records, clock), scope_(std::move(scope)) {}
  static const std::vector<Stage>& stages();
  Status take_one(Blocks& blocks) override;
  std::string range(char table) const;
  /// Of the snapshot; nothing: it isn't there.
  Result<std::optional<std::string>> get(const std::string& key);
  /// The model, if it is one of those that are given out.
  Commits* find(const std::string& model);
  /// The number of the model's commit of that epoch; 0: that record isn't given out. corrupt: there is none.
  Result<std::uint64_t> number(const std::string& model, std::uint64_t epoch, std::string_view key);

  // What there is.
  Status see_state(std::string_view key, std::string_view value, Blocks&);
  Status end_states(std::string_view, std::string_view, Blocks&);
  Status see_history(std::string_view key, std::string_view value, Blocks&);
  Status see_dated(std::string_view key, std::string_view value, Blocks&);
  Status see_release(std::string_view key, std::string_view value, Blocks&);
  Status end_models(std::string_view, std::string_view, Blocks&);
  Status see_run(std::string_view key, std::string_view value, Blocks&);
  Status see_run_part(std::string_view, std::string_view, Blocks&);
  Status see_version(std::string_view key, std::string_view value, Blocks&);
  // What is given out.
  Status give_time(std::string_view, std::string_view, Blocks& blocks);
  Status give_rule(std::string_view key, std::string_view value, Blocks& blocks);
  Status give_state(std::string_view key, std::string_view value, Blocks& blocks);
  Status give_release(std::string_view key, std::string_view value, Blocks& blocks);
  Status give_entry(std::string_view key, std::string_view value, Blocks& blocks);
  Status give_version(std::string_view key, std::string_view value, Blocks& blocks);
  Status give_dataset(std::string_view, std::string_view, Blocks& blocks);
  Status give_file(std::string_view, std::string_view, Blocks& blocks);
  Status give_run(std::string_view key, std::string_view value, Blocks& blocks);
  Status give_run_part(std::string_view, std::string_view, Blocks& blocks);
  Status give_artefact(std::string_view, std::string_view, Blocks& blocks);
  void want(const Hash256& artefact);
  /// Goes on to the next record of table P of the runs that are given out; false: it is one of none, or there is none
  /// any more (then the stage is over).
  Result<bool> next_run_part();
  /// not_found: of what is asked for.
  Status nothing_there() const;
  /// Whether nobody sees what began then, of a run or a state of that model: an import brings it.
  Result<bool> is_hidden(const std::string& model, std::uint64_t began);

  const ExportScope scope_;
  std::unique_ptr<Cursor> cursor_, lookup_;  ///< of one snapshot
  std::size_t place_ = 0;                    ///< in stages()
  bool is_begun_ = false;                    ///< the stage is
  bool is_over_ = false;                     ///< a stage without table is

  std::map<std::string, Commits> models_;
  std::string last_model_, last_value_;  ///< the state seen last; what comes next is older
  std::uint64_t last_epoch_ = 0;
  // give_time()
  std::map<std::string, Commits>::iterator numbered_;
  std::uint64_t next_number_ = 1;
  std::map<std::uint64_t, std::uint64_t>::iterator commit_;

  std::map<Uuid, const std::string*> runs_;  ///< and the model of each, a key of models_
  std::map<Uuid, const std::string*>::iterator run_;
  bool is_in_run_ = false;
  std::string imported_model_;                  ///< of which the next is
  std::optional<wire::ImportRecord> imported_;  ///< nothing: it was not imported
  NamedDatasets datasets_;                      ///< of the one model that is given out
  std::set<Hash256> files_;
  std::string next_dataset_, next_file_;  ///< from where on they are yet to be given

  std::unordered_set<Hash256> wanted_;
  std::vector<Hash256> to_give_;
};

}  // namespace espalier::registry
