// The erasure of a tenant whose history was imported, or is being imported.
#include <thread>

#include "registry/keys.h"
#include "tests/unit/registry/moving_fixture.h"
#include "tests/unit/registry/raw_store.h"

namespace espalier::registry {
namespace {

class ErasingImports : public MovingFixture {
 protected:
  std::unique_ptr<upkeep::Archive> history_of_acme() {
    for (int i = 0; i < 40; ++i) do_something();
    clock_.advance(3'600'000'000);
    return exported(*registry_, "acme");
  }
  void erase_from_target() {
    const wire::EraseRequest request{uuid('k', 1), "acme", uuid('q', 1), false};
    ASSERT_OK(target_->erase(local_, request));
    while (target_->next_work_us() >= 0) {
      clock_.advance(target_->next_work_us());
      target_->work();
      std::this_thread::yield();
    }
    const auto page = target_->verify_erasure(local_, {"acme", uuid('q', 1), {}});
    ASSERT_OK(page);
    EXPECT_EQ(page->left, std::vector<std::string>());
    EXPECT_EQ(target_findings(), "");
  }
  /// How many records of acme's the stopped target has in those tables.
  std::size_t records_in(std::string_view tables) {
    target_.reset();
    std::size_t count = 0;
    for (const auto& [key, value] : RawStore(target_folder()).all()) {
      const bool is_one = tables.find(key[0]) != std::string_view::npos;
      count += is_one && key.starts_with(keys::of_tenant(static_cast<keys::Table>(key[0]), "acme"));
    }
    open_target();
    return count;
  }
};

TEST_F(ErasingImports, TakesAHistoryThatWasImported) {
  const auto archive = history_of_acme();
  ASSERT_OK(import_all(*archive));
  EXPECT_GT(records_in("Hh"), 10u);
  erase_from_target();
  EXPECT_EQ(records_in("HhVvTRrXMA"), 0u);
  const auto histories = histories_of(*archive);
  ASSERT_OK(histories);
  const auto again = import_history(histories->front(), histories->front().hash(), ask(), idems());
  EXPECT_CODE(again, Code::failed_precondition) << "the name can't be used again";
}

TEST_F(ErasingImports, AlsoOneOfWhichNobodyHasSeenAnythingYet) {
  const auto archive = history_of_acme();
  upload_all(*archive);
  auto histories = histories_of(*archive);
  ASSERT_OK(histories);
  History& history = histories->front();
  history.most_in_step = 3;
  int left = 5;
  const AskImport asked = [&](const wire::ImportRequest& request,
                              std::vector<std::string> bodies) -> Result<wire::ImportReply> {
    if (left-- == 0) return unavailable("cut short");
    return ask()(request, std::move(bodies));
  };
  EXPECT_CODE(import_history(history, history.hash(), asked, idems()), Code::unavailable);
  EXPECT_GT(records_in("Hh"), 3u);
  erase_from_target();
  EXPECT_EQ(records_in("HhVvTRrXMA"), 0u);
}

}  // namespace
}  // namespace espalier::registry
