// A publish: versions and the movements of a tag as one batch, or the reason why not. And a move: a release of versions
// that exist.
//
// A node left out of a release keeps its entry, unless the release says `replace`: then it is unset.
// Thread safety: as the Store. Errors name the place in the request: "versions[3].artefact: …".
#pragma once

#include <string_view>
#include <vector>

#include "common/principal.h"
#include "registry/records.h"
#include "wire/messages.h"

namespace espalier::registry {

/// Checks the proposal against the records and writes it into the batch; the batch is then to be committed, or dropped
/// after an error. invalid_argument, failed_precondition: as the message says; not_found: an artefact, base or parent
/// that the tenant doesn't have; already_exists: the release, or a version's UUID with other content.
Result<wire::ReleaseReply> prepare_publish(Records& records, const Principal& principal,
                                           const wire::PublishRequest& request,
                                           const std::vector<std::string_view>& bodies, Batch& batch);

/// The same for entries, or for the state that an earlier release left.
Result<wire::ReleaseReply> prepare_move(Records& records, const Principal& principal, const wire::MoveRequest& request,
                                        const std::vector<std::string_view>& bodies, Batch& batch);

/// Writes what both end with: the release's record and the feed's entry. Gives the reply.
Result<wire::ReleaseReply> finish_release(Records& records, const wire::ModelRecord& model, wire::ReleaseRecord release,
                                          TagMovements& movements, Batch& batch);
/// The same for a commit that moves several tags: a release each, in the order in which `movements` began them. The
/// first is the reply's.
Result<wire::ReleaseReply> finish_releases(Records& records, const wire::ModelRecord& model,
                                           std::vector<wire::ReleaseRecord> releases, TagMovements& movements,
                                           Batch& batch);

/// The model has the tag, from this release on.
/// resource_exhausted: the model has as many tags as it may have.
Status add_tag(wire::ModelRecord& model, const std::string& tag);

/// invalid_argument unless tenant, model and tag are names.
Status check_names(std::string_view tenant, std::string_view model, std::string_view tag);
/// invalid_argument: the path isn't one, is deeper than `levels`, or ends in a transparent node.
Status check_partition(const std::vector<std::string>& partition, std::size_t levels);
/// invalid_argument: longer than `most` bytes, or, with `json`, neither empty nor a JSON object.
Status check_text(std::string_view what, std::string_view text, std::size_t most, bool json);

}  // namespace espalier::registry
