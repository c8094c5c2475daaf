#include "shard/admission.h"

#include <algorithm>
#include <utility>

namespace espalier::shard {

wire::Reason reason_of(const Status& why) {
  switch (why.code()) {
    case Code::not_found:
    case Code::unavailable: return wire::Reason::cold;
    case Code::resource_exhausted: return wire::Reason::over_budget;
    default: return wire::Reason::corrupt;
  }
}

Result<std::vector<std::uint32_t>> map_inputs(const std::vector<model::Field>& inputs,
                                              const std::vector<model::Field>& fields) {
  std::vector<std::uint32_t> places;
  places.reserve(inputs.size());
  for (const model::Field& input : inputs) {
    const auto it = std::ranges::find(fields, input.name, &model::Field::name);
    if (it == fields.end()) {
      return failed_precondition("the artefact reads field " + input.name + ", which the model's input schema lacks");
    }
    if (it->type != input.type) {
      return failed_precondition("the artefact reads field " + input.name + " as " +
                                 std::string(model::field_type_name(input.type)) + ", the model's input schema has " +
                                 std::string(model::field_type_name(it->type)));
    }
    places.push_back(static_cast<std::uint32_t>(it - fields.begin()));
  }
  return places;
}

Result<std::shared_ptr<const Servable>> Admission::admit(std::string_view model_key,
                                                         const std::vector<model::Field>& fields, const Hash256& hash) {
  std::string key(model_key);
  key.append(hash.view());
  if (const auto it = admitted_.find(key); it != admitted_.end()) {
    if (auto servable = it->second.lock(); servable && is_current(hash, *servable) && servable->is_intact()) {
      return servable;
    }
  }
  ASSIGN_OR_RETURN(auto servable, open(fields, hash));
  admitted_[std::move(key)] = servable;
  keep(hash, servable);
  sweep();
  return servable;
}

Result<std::shared_ptr<const Servable>> Admission::open(const std::vector<model::Field>& fields, const Hash256& hash) {
  const auto bytes = pack_.find(hash);
  if (!bytes) return not_found("artefact " + hash.hex() + " is not in the pack");
  const Servable::Bytes checked(*bytes);
  // Reads all of it, so that its pages are in memory afterwards.
  if (Status verified = pack_.verify(hash); !verified.ok()) {
    report_all_of(hash);
    return verified;
  }
  ASSIGN_OR_RETURN(model::Artefact artefact, model::Artefact::open(*bytes));
  if (!artefact.base().is_none()) {
    return Status(Code::unimplemented, "artefact " + hash.hex() + " is a difference from " + artefact.base().hex() +
                                           "; only artefacts that stand alone are served");
  }
  RETURN_IF_ERROR(artefact.replay_probes(scratch_));
  ASSIGN_OR_RETURN(std::vector<std::uint32_t> places, map_inputs(artefact.program().inputs(), fields));
  return std::make_shared<const Servable>(checked, std::move(artefact), std::move(places), pack_.hold(hash));
}

/// Of whatever model: the same bytes answer for all of them.
void Admission::report_all_of(const Hash256& hash) {
  for (const auto& [key, admitted] : admitted_) {
    if (!key.ends_with(hash.view())) continue;
    if (const auto servable = admitted.lock()) damage_.report(*servable);
  }
}

Status Admission::store(const Hash256& hash, std::string_view bytes) {
  if (blake2b_256(bytes) != hash) return corrupt("artefact " + hash.hex() + ": the bytes fetched have another hash");
  return pack_.add(hash, bytes);
}

Status Admission::discard(const std::set<Hash256>& damaged) {
  bool is_open_damaged = false;
  for (const auto& segment : pack_.segments()) {
    if (!segment.is_open) continue;
    const std::vector<Hash256> in = pack_.hashes_in(segment.number);
    is_open_damaged |= std::ranges::any_of(in, [&](const Hash256& hash) { return damaged.contains(hash); });
  }
  for (const Hash256& hash : damaged) pack_.forget(hash);
  drop_stale();
  return is_open_damaged ? pack_.close_segment() : Status();
}

void Admission::drop_stale() {
  std::erase_if(recent_, [&](const auto& kept) { return !is_current(kept.first, *kept.second); });
  next_recent_ = 0;
}

void Admission::keep(const Hash256& hash, std::shared_ptr<const Servable> servable) {
  if (!keeps_recent_) return;
  if (recent_.size() < kKeptRecent) {
    recent_.emplace_back(hash, std::move(servable));
  } else {
    recent_[next_recent_] = {hash, std::move(servable)};
    next_recent_ = (next_recent_ + 1) % kKeptRecent;
  }
}

/// Forgets artefacts that no table uses any more, at a cost that stays small for each admission.
void Admission::sweep() {
  if (admitted_.size() < sweep_at_) return;
  std::erase_if(admitted_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = std::max<std::size_t>(1024, admitted_.size() * 2);
}

}  // namespace espalier::shard
