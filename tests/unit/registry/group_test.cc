// Changes that share a sync: what one of them breaks is told to all that relied on it.
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

using testing::FaultyFiles;

class GroupTest : public RegistryFixture {
 protected:
  Result<wire::UploadReply> stage(const std::string& tenant, const std::string& bytes) {
    return registry_->upload(local_, {tenant, {blake2b_256(bytes)}}, {bytes});
  }
  bool is_there(const std::string& tenant, const std::string& bytes) {
    Registry::Bodies bodies;
    const auto reply = registry_->fetch(local_, {tenant, {blake2b_256(bytes)}}, bodies);
    EXPECT_OK(reply);
    return reply.ok() && !reply->found.empty();
  }
};

TEST_F(GroupTest, AnUploadThatAPublishOfItsGroupCouldNotBringToTheDiskIsNotAcknowledged) {
  ASSERT_OK(publish(1, {{{}, 1}}));
  const std::string bytes = small_artefact(7);
  registry_->begin_group();
  ASSERT_OK(stage("acme", bytes));
  files_.fail_all(Status(Code::resource_exhausted, "no space left"), FaultyFiles::kSync);
  wire::FetchRequest request{"acme", {blake2b_256(bytes)}};
  Registry::Bodies bodies;
  EXPECT_FALSE(registry_->fetch(local_, request, bodies).ok()) << "it asks for what is staged";
  files_.heal();
  const Registry::Group outcome = registry_->end_group();
  EXPECT_FALSE(outcome.uploads.ok());
  // The next group is not blamed for it.
  registry_->begin_group();
  ASSERT_OK(stage("acme", bytes));
  EXPECT_OK(registry_->end_group().uploads);
  EXPECT_TRUE(is_there("acme", bytes));
}

}  // namespace
}  // namespace espalier::registry
