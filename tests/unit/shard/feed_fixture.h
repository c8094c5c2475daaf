// A shard's feed on a folder of its own, with a registry that the test plays.
//
// Thread safety: none. Ownership: a test's.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "shard/fallback.h"
#include "shard/feed.h"
#include "tests/support/faulty_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/shard/fake_registry.h"
#include "tests/unit/shard/table_builder.h"

namespace espalier::shard {

class FeedFixture : public ::testing::Test {
 protected:
  /// A shard process begins on the same folder: it has what the one before left on the disk.
  void begin(FeedOptions options = {}, const model::PackOptions& pack = {1u << 20}, bool is_starting = false) {
    feed_.reset();
    space_.reset();
    admission_.reset();
    auto first = std::make_unique<ModelTable>();
    first->is_starting = is_starting;
    live_.emplace(std::move(first));
    pack_.reset();
    pack_ = std::move(*model::Pack::open(*pack_files_, dir_.path() + "/pack", pack));
    admission_.emplace(*pack_, damage_, options.memory_budget == 0);
    options.self.name = "s0";
    space_.emplace(SpaceOptions{}, *pack_, *admission_, damage_, clock_);
    feed_.emplace(options, registry_, *admission_, *space_, scrub_, damage_, *live_, state_, clock_);
  }

  /// Who answers for a node, such as "7 exact"; the code's name where nobody does.
  std::string answer(const std::string& partition, const std::string& tag = "production",
                     const std::string& tenant = "acme") {
    return told(partition, tag, tenant, false);
  }
  /// The same, and the request is noted as a worker does.
  std::string ask(const std::string& partition) { return told(partition, "production", "acme", true); }
  static unsigned number_of(const Uuid& uuid) { return uuid.bytes[15] + 256u * uuid.bytes[14]; }

  testing::TempDir dir_;
  testing::FaultyFiles files_;  ///< of the state; of the pack where a test says so
  Files* pack_files_ = &Files::system();
  ManualClock clock_;
  FakeRegistry registry_;
  StateFile state_{files_, dir_.path() + "/state"};
  std::unique_ptr<model::Pack> pack_;
  std::optional<LiveTable> live_;
  std::optional<Admission> admission_;
  std::optional<Space> space_;
  Damage damage_;
  Scrub scrub_{0, damage_, clock_};
  std::optional<Feed> feed_;

 private:
  std::string told(const std::string& partition, const std::string& tag, const std::string& tenant, bool is_noted) {
    const Model* model = live_->current().models.find(model::model_key(tenant, "total"));
    if (model == nullptr) return "no such model";
    const Tag* found = model->find_tag(tag);
    if (found == nullptr) return "no such tag";
    const Result<Choice> choice = choose(*model, *found, path_of(partition));
    if (!choice.ok()) return std::string(code_name(choice.status().code()));
    if (is_noted) choice->node->used.note(clock_.monotonic_us());
    if (is_noted && choice->missed != nullptr) choice->missed->used.note(clock_.monotonic_us());
    EXPECT_TRUE(choice->answer->servable->is_intact());
    return std::to_string(number_of(choice->answer->version)) + " " + std::string(wire::reason_name(choice->reason));
  }
};

}  // namespace espalier::shard
