// Records of the registry as the JSON that the commands print, and in short for people.
//
// Thread safety: pure functions. Included by .cc files only: it brings the JSON library.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/uuid.h"
#include "wire/dataset_messages.h"
#include "wire/messages.h"
#include "wire/run_messages.h"

namespace espalier::cli {

/// One document on stdout. Text that is not UTF-8 has U+FFFD in its place.
void print_json(const nlohmann::json& document);

/// JSON that a record carries as text; text that is none stays text; empty: null.
nlohmann::json embedded_json(const std::string& text);
/// A UUID as text; nil: null.
nlohmann::json uuid_json(const Uuid& uuid);
std::string_view entry_kind_name(wire::EntryKind kind);

nlohmann::json version_json(const wire::VersionRecord& version);
nlohmann::json entry_json(const wire::TagEntry& entry);
nlohmann::json release_json(const wire::ReleaseRecord& release);
nlohmann::json run_json(const wire::RunRecord& run);
nlohmann::json dataset_json(const wire::DatasetRecord& dataset);
nlohmann::json provenance_json(const wire::Provenance& provenance);

/// "rmse 81.2, mae 60" from a JSON object of numbers; "-" where there are none.
std::string metrics_text(const std::string& metrics_json);

}  // namespace espalier::cli
