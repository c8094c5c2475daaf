// Collections and erasures of a registry in a folder of its own.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {

class SpaceFixture : public RegistryFixture {
 protected:
  SpaceFixture();
  /// With slices of few records, and segments of few artefacts.
  void open();
  /// An empty registry.
  void start_anew();

  void set_rule(std::uint32_t idem, const std::function<void(wire::RetentionRule&)>& change);
  Status begin_collection(std::uint32_t receipt, const std::string& model = "", bool dry_run = false);
  /// A slice, after whatever it waits for.
  void work();
  /// Until there is nothing left to do.
  void finish_work();
  Result<wire::Receipt> collect(std::uint32_t receipt, const std::string& model = "", bool dry_run = false);
  Result<wire::Receipt> receipt_of(std::uint32_t receipt);
  /// "version 1", "artefact 12ab…": sorted. Expects the receipt's digest and counts to agree.
  std::vector<std::string> items(std::uint32_t receipt);

  /// Numbers of acme/total's versions that have not been collected. Expects that their artefacts can be fetched.
  std::string held();
  bool has_artefact(float bias);
  /// Expects of every version that is not marked as collected that its artefact can be fetched, whatever was cut short.
  void expect_whole() { held(); }
  /// Artefacts that nobody names.
  void upload_unnamed(int count);
  LevelDbOptions store_options_;  ///< what open() opens with
  /// Of acme's pack.
  std::uint64_t disk_bytes();

  std::uint64_t kept_epochs_ = RegistryOptions{}.kept_epochs;  ///< from open() on

  static wire::TagEntry entry(const Path& partition, std::uint32_t version);
  static wire::TagEntry unset(const Path& partition);

 private:
  int unnamed_ = 0;
};

}  // namespace espalier::registry
