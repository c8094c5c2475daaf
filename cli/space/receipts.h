// Receipts of collections and erasures: waiting for them, and printing them.
//
// Thread safety: one thread.
#pragma once

#include <string>

#include "client/registry_client.h"
#include "common/status.h"
#include "wire/space_messages.h"

namespace espalier::cli {

Result<Uuid> parse_receipt(const std::string& text);
/// Waits until it is finished, however long that takes; says on stderr what it waits for.
Result<wire::ReceiptReply> finished_receipt(client::RegistryClient& registry, const std::string& tenant,
                                            const Uuid& receipt);
/// Whether the receipt's items are those that it counts; empty: they are, else what is wrong.
Result<std::string> wrong_items(client::RegistryClient& registry, const wire::Receipt& receipt);
/// As one JSON document with every version and artefact, or for people: the counts and, with `list`, all of these.
Status print_receipt(client::RegistryClient& registry, const wire::ReceiptReply& reply, bool list, bool as_json);

}  // namespace espalier::cli
