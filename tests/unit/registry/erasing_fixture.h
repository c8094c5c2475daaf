// A registry with a tenant to erase and others beside it, and ways to look for what is left of it.
//
// Thread safety: none. Ownership: a test's.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "registry/keys.h"
#include "registry/upkeep/check.h"
#include "registry/upkeep/stopped.h"
#include "tests/support/sanitized.h"
#include "tests/unit/registry/files_env.h"
#include "tests/unit/registry/raw_store.h"
#include "tests/unit/registry/space_fixture.h"

namespace espalier::registry {

/// In names, metrics, partitions, notes and runs of what is erased.
inline const std::string kMarker = "xyzzymarker";
inline constexpr std::int64_t kDayUs = 86'400'000'000;

class Erasing : public SpaceFixture {
 protected:
  Erasing() { start_anew(); }
  ~Erasing() override { registry_.reset(); }

  static wire::EraseRequest erasing(std::uint32_t receipt, const std::string& tenant = "acme", bool dry_run = false) {
    return {uuid('k', receipt), tenant, uuid('q', receipt), dry_run};
  }
  /// acme/total with the marker everywhere, and globex/total beside it.
  void fill() {
    for (std::uint32_t n = 1; n <= 4; ++n) {
      Proposal proposal = propose(n, {{{}, n, float(n)}, {{kMarker}, 100 + n, float(100 + n)}});
      proposal.request.run_json = R"({"run": ")" + kMarker + "\"}";
      for (auto& version : proposal.versions) {
        version.metrics_json = "{\"" + kMarker + "\": 1.5}";
        version.lineage_json = R"({"source": ")" + kMarker + "\"}";
      }
      ASSERT_OK(publish(proposal));
    }
    ASSERT_OK(move(5, {entry({}, 2)}, kMarker));
    set_rule(1, [](auto& rule) {
      rule.keep_tagged = true;
      rule.tagged = {kMarker};
    });
    add_run();
    ASSERT_OK(registry_->set_quota(local_, {uuid('j', 805), "acme", {100, 0, 0}}));
    ASSERT_OK(collect(7));
    for (std::uint32_t n = 21; n <= 23; ++n) ASSERT_OK(publish_other(n));
  }
  void add_run() {
    wire::RunStartRequest start = of_total<wire::RunStartRequest>();
    start.idem = uuid('j', 801);
    start.run = uuid('n', 1);
    start.name = kMarker;
    start.params_json = R"({"source": ")" + kMarker + "\"}";
    ASSERT_OK(registry_->run_start(local_, start));
    wire::RunLogRequest log;
    log.idem = uuid('j', 802);
    log.tenant = "acme";
    log.run = start.run;
    log.metrics.emplace_back();
    log.metrics[0].name = kMarker;
    ASSERT_OK(registry_->run_log(local_, log));
    wire::RunAttachRequest attach;
    attach.idem = uuid('j', 803);
    attach.tenant = "acme";
    attach.run = start.run;
    attach.name = "notes";
    attach.content = kMarker;
    ASSERT_OK(registry_->run_attach(local_, attach));
    wire::DatasetPutRequest put;
    put.idem = uuid('j', 804);
    put.dataset.dataset = blake2b_256(kMarker);
    put.dataset.tenant = "acme";
    put.dataset.source = kMarker;
    ASSERT_OK(registry_->dataset_put(local_, put));
  }
  Status publish_other(std::uint32_t n) {
    Proposal proposal;
    proposal.request = of_total<wire::PublishRequest>();
    proposal.request.idem = uuid('i', n);
    proposal.request.tenant = "globex";
    proposal.request.tag = "production";
    proposal.request.release = uuid('r', n);
    proposal.request.spec_json = spec_json("total", {"country", "state"});
    proposal.request.fields = {{"age", model::FieldType::number}};
    proposal.versions.emplace_back();
    proposal.versions[0].version = uuid('v', n);
    proposal.versions[0].artefact = upload(small_artefact(float(n)), "globex");
    return publish(proposal).status();
  }
  Result<wire::Receipt> erase(std::uint32_t receipt, bool dry_run = false) {
    RETURN_IF_ERROR(registry_->erase(local_, erasing(receipt, "acme", dry_run)).status());
    finish_work();
    return receipt_of(receipt);
  }
  /// The files below the registry's folder that have these bytes.
  std::vector<std::string> files_with(const std::string& bytes) {
    std::vector<std::string> found;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder_ / "registry")) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(in), {}};
      if (content.find(bytes) != std::string::npos) found.push_back(file.path().lexically_relative(folder_.path()));
    }
    return found;
  }
  std::vector<std::string> remains(std::uint32_t receipt) {
    std::vector<std::string> lines;
    wire::VerifyErasureRequest request{"acme", uuid('q', receipt), {}};
    do {
      const auto page = registry_->verify_erasure(local_, request);
      EXPECT_OK(page);
      if (!page.ok()) return lines;
      lines.insert(lines.end(), page->left.begin(), page->left.end());
      request.cursor = page->cursor;
    } while (!request.cursor.empty());
    return lines;
  }
  /// How many artefacts the receipt names. Expects its hash to hold.
  std::uint64_t artefacts_of(const wire::Receipt& receipt) {
    Hash256 digest;
    std::uint64_t count = 0;
    wire::ReceiptItemsRequest request{receipt.tenant, receipt.receipt, {}};
    do {
      const auto page = registry_->receipt_items(local_, request);
      EXPECT_OK(page);
      if (!page.ok()) return count;
      if (!page->items.empty()) digest = Receipts::digest(digest, wire::encode_array(page->items));
      for (const auto& item : page->items) count += item.is_artefact && item.model.empty() && item.partition.empty();
      request.cursor = page->cursor;
    } while (!request.cursor.empty());
    EXPECT_EQ(digest, receipt.items);
    return count;
  }
  void expect_gone(std::uint32_t receipt) {
    EXPECT_EQ(remains(receipt), std::vector<std::string>());
    EXPECT_FALSE(std::filesystem::exists(folder_ / "registry/artefacts/acme"));
    EXPECT_EQ(files_with(kMarker), std::vector<std::string>());
    EXPECT_EQ(files_with(small_artefact(104).substr(0, 200)), std::vector<std::string>());
  }
  void expect_other_whole() {
    wire::TagEntriesRequest request;
    request.tenant = "globex";
    request.model = "total";
    request.tag = "production";
    ASSERT_OK_AND_ASSIGN(const auto entries, registry_->tag_entries(local_, request));
    ASSERT_EQ(entries.entries.size(), 1u);
    std::vector<std::string_view> bodies;
    ASSERT_OK(registry_->fetch(local_, {"globex", {entries.entries[0].artefact}}, bodies));
    EXPECT_EQ(bodies.size(), 1u);
  }
  void expect_sound() {
    registry_.reset();
    ASSERT_OK_AND_ASSIGN(const auto stopped, upkeep::open_stopped(files_, clock_, folder_ / "registry"));
    ASSERT_OK_AND_ASSIGN(const auto check, upkeep::Check::start(*stopped.records));
    ASSERT_OK(check->run_to_the_end(clock_));
    for (const auto& finding : check->findings().take()) {
      ADD_FAILURE() << finding.table << " " << finding.key << ": " << finding.what;
    }
  }
  /// Of the stopped registry: how many records of acme's each table has.
  std::map<char, int> tables() {
    registry_.reset();
    std::map<char, int> counts;
    for (const auto& [key, value] : RawStore(folder_ / "registry").all()) {
      const bool is_by_tenant = keys::kTablesOfTenants.find(key[0]) != std::string_view::npos;
      if (is_by_tenant && key.starts_with(keys::of_tenant(static_cast<keys::Table>(key[0]), "acme"))) ++counts[key[0]];
    }
    open();
    return counts;
  }
};

}  // namespace espalier::registry
