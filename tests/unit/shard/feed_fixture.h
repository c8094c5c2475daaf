// A shard's feed on a folder of its own, with a registry that the test plays.
//
// Thread safety: none. Ownership: a test's.
#pragma once

#include <gtest/gtest.h>
#include <optional>

#include "shard/fallback.h"
#include "shard/feed.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/shard/fake_registry.h"
#include "tests/unit/shard/table_builder.h"

namespace espalier::shard {

class FeedTest : public ::testing::Test {
 protected:
  void SetUp() override { start(); }

  /// A shard process begins on the same folder; `first` is what the one before left.
  void start() {
    feed_.reset();
    admission_.reset();
    live_.emplace(std::make_unique<const ModelTable>());
    pack_ = std::move(*model::Pack::open(Files::system(), dir_.path() + "/pack", {1u << 20}));
    admission_.emplace(*pack_, damage_);
    FeedOptions options;
    options.self.name = "s0";
    space_.emplace(SpaceOptions{}, *pack_, *admission_, damage_, clock_);
    feed_.emplace(options, registry_, *admission_, *space_, scrub_, damage_, *live_, state_, clock_);
  }

  /// Who answers for a node, such as "7 exact at usa"; the code's name where nobody does.
  std::string answer(const std::string& partition, const std::string& tag = "production",
                     const std::string& tenant = "acme") {
    const Model* model = live_->current().models.find(model::model_key(tenant, "total"));
    if (model == nullptr) return "no such model";
    const Tag* found = model->find_tag(tag);
    if (found == nullptr) return "no such tag";
    const Result<Choice> choice = choose(*model, *found, path_of(partition));
    if (!choice.ok()) return std::string(code_name(choice.status().code()));
    return std::to_string(number_of(choice->answer->version)) + " " + std::string(wire::reason_name(choice->reason));
  }
  static unsigned number_of(const Uuid& uuid) { return uuid.bytes[15] + 256u * uuid.bytes[14]; }

  testing::TempDir dir_;
  ManualClock clock_;
  FakeRegistry registry_;
  StateFile state_{Files::system(), dir_.path() + "/state"};
  std::unique_ptr<model::Pack> pack_;
  std::optional<LiveTable> live_;
  std::optional<Admission> admission_;
  std::optional<Space> space_;
  Damage damage_;
  Scrub scrub_{0, damage_, clock_};
  std::optional<Feed> feed_;
};

}  // namespace espalier::shard
