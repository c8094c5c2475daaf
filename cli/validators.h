// What the command line checks of a word before any command runs: what is wrong with it is a mistake in the command
// line.
//
// Thread safety: immutable. Included by .cc files only: it brings CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "common/uuid.h"
#include "model/ids.h"

namespace espalier::cli {

// TENANT/MODEL or TENANT/MODEL@PARTITION.
inline const CLI::Validator kNode(
    [](std::string& text) {
      auto node = model::NodeName::parse(text);
      return node.ok() ? std::string() : node.status().message();
    },
    "TENANT/MODEL@PARTITION", "node");
inline const CLI::Validator kModel(
    [](std::string& text) {
      auto node = model::NodeName::parse(text);
      if (!node.ok()) return node.status().message();
      return node->partition.is_root() ? std::string() : "a partition makes no sense here";
    },
    "TENANT/MODEL", "model");
inline const CLI::Validator kName(
    [](std::string& text) {
      const Status status = model::check_name("name", text);
      return status.ok() ? std::string() : status.message();
    },
    "NAME", "name");
// TENANT or TENANT/MODEL.
inline const CLI::Validator kTenantOrModel(
    [](std::string& text) {
      if (text.find('/') != std::string::npos) return kModel(text);
      const Status status = model::check_name("tenant", text);
      return status.ok() ? std::string() : status.message();
    },
    "TENANT[/MODEL]", "tenant or model");
inline const CLI::Validator kUuid(
    [](std::string& text) {
      const auto uuid = Uuid::parse(text);
      return uuid.ok() ? std::string() : uuid.status().message();
    },
    "UUID", "uuid");

}  // namespace espalier::cli
