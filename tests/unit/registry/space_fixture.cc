#include "tests/unit/registry/space_fixture.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "common/bytes.h"
#include "model/pack_format.h"
#include "registry/space/receipts.h"

namespace espalier::registry {

SpaceFixture::SpaceFixture() {
  store_options_.env = &env_;
  open();
}

void SpaceFixture::open() {
  registry_.reset();
  RegistryOptions options;
  options.store = store_options_;
  options.background_work = 3;
  options.segment_bytes = 8192;
  options.kept_epochs = kept_epochs_;
  auto registry = Registry::open(files_, clock_, folder_ / "registry", options);
  ASSERT_OK(registry);
  registry_ = *std::move(registry);
}

void SpaceFixture::start_anew() {
  registry_.reset();
  files_.heal();
  std::filesystem::remove_all(folder_ / "registry");
  open();
}

void SpaceFixture::set_rule(std::uint32_t idem, const std::function<void(wire::RetentionRule&)>& change) {
  wire::SetRetentionRequest request;
  request.idem = uuid('s', idem);
  request.tenant = "acme";
  request.model = "total";
  request.rule.keep_all = false;
  change(request.rule);
  ASSERT_OK(registry_->set_retention(local_, request));
}

Status SpaceFixture::begin_collection(std::uint32_t receipt, const std::string& model, bool dry_run) {
  return registry_->collect(local_, {uuid('k', receipt), "acme", model, uuid('q', receipt), dry_run}).status();
}

void SpaceFixture::finish_work() {
  const std::int64_t end = Clock::system().monotonic_us() + 60'000'000;
  while (registry_->next_work_us() >= 0) {
    ASSERT_LT(Clock::system().monotonic_us(), end) << "it does not come to an end";
    work();
  }
}

void SpaceFixture::work() {
  // What waits for LevelDB's thread is asked again after a while, of a clock that stands still.
  if (registry_->next_work_us() > 0) {
    clock_.advance(registry_->next_work_us());
    std::this_thread::yield();
  }
  registry_->work();
}

Result<wire::Receipt> SpaceFixture::collect(std::uint32_t receipt, const std::string& model, bool dry_run) {
  RETURN_IF_ERROR(begin_collection(receipt, model, dry_run));
  finish_work();
  return receipt_of(receipt);
}

Result<wire::Receipt> SpaceFixture::receipt_of(std::uint32_t receipt) {
  ASSIGN_OR_RETURN(const auto reply, registry_->receipt(local_, {"acme", uuid('q', receipt), 0}));
  return reply.receipt;
}

std::vector<std::string> SpaceFixture::items(std::uint32_t receipt) {
  std::vector<std::string> lines;
  const auto head = receipt_of(receipt);
  EXPECT_OK(head);
  std::uint64_t versions = 0, artefacts = 0, bytes = 0;
  Hash256 digest;
  wire::ReceiptItemsRequest request{"acme", uuid('q', receipt), {}};
  do {
    const auto page = registry_->receipt_items(local_, request);
    EXPECT_OK(page);
    if (!page.ok()) return lines;
    if (!page->items.empty()) digest = Receipts::digest(digest, wire::encode_array(page->items));
    for (const auto& item : page->items) {
      (item.is_artefact ? artefacts : versions) += 1;
      if (item.is_artefact) bytes += item.bytes;
      lines.push_back(item.is_artefact ? "artefact " + item.artefact.hex() : "version " + item.version.text());
    }
    request.cursor = page->cursor;
  } while (!request.cursor.empty());
  EXPECT_EQ(head->versions, versions);
  EXPECT_EQ(head->artefacts, artefacts);
  EXPECT_EQ(head->artefact_bytes, bytes);
  EXPECT_TRUE(head->dry_run || head->items == digest);
  std::ranges::sort(lines);
  return lines;
}

std::string SpaceFixture::held() {
  const auto page = registry_->versions(local_, of_total<wire::VersionsRequest>());
  EXPECT_OK(page);
  if (!page.ok()) return page.status().text();
  std::vector<std::uint32_t> numbers;
  for (const auto& version : page->versions) {
    if (version.collected_us != 0) continue;
    numbers.push_back(load_u32_be(reinterpret_cast<const char*>(version.version.bytes.data()) + 12));
    std::vector<std::string_view> bodies;
    const auto fetched = registry_->fetch(local_, {"acme", {version.artefact}}, bodies);
    EXPECT_OK(fetched);
    EXPECT_TRUE(fetched.ok() && fetched->missing.empty()) << "version " << numbers.back() << " lacks its artefact";
    EXPECT_TRUE(bodies.empty() || blake2b_256(bodies[0]) == version.artefact);
  }
  std::ranges::sort(numbers);
  std::string text;
  for (const std::uint32_t number : numbers) text += (text.empty() ? "" : " ") + std::to_string(number);
  return text;
}

bool SpaceFixture::has_artefact(float bias) {
  std::vector<std::string_view> bodies;
  const auto fetched = registry_->fetch(local_, {"acme", {blake2b_256(small_artefact(bias))}}, bodies);
  EXPECT_OK(fetched);
  return !bodies.empty();
}

void SpaceFixture::upload_unnamed(int count) {
  for (int i = 0; i < count; ++i) upload(small_artefact(10'000 + static_cast<float>(++unnamed_)));
}

std::uint64_t SpaceFixture::disk_bytes() {
  std::uint64_t sum = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder_ / "registry/artefacts/acme")) {
    if (model::parse_segment_name(file.path().filename().string())) sum += file.file_size();
  }
  return sum;
}

wire::TagEntry SpaceFixture::entry(const Path& partition, std::uint32_t version) {
  wire::TagEntry entry;
  entry.partition = partition;
  entry.version = uuid('v', version);
  return entry;
}

wire::TagEntry SpaceFixture::unset(const Path& partition) {
  wire::TagEntry entry;
  entry.partition = partition;
  entry.kind = wire::EntryKind::unset;
  return entry;
}

}  // namespace espalier::registry
