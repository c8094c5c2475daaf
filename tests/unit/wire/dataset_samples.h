// The messages of datasets, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/dataset_messages.h"
#include "wire/messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> dataset_messages(const Uuid& idem, const Hash256& dataset,
                                                                         const Hash256& file) {
  ColumnProfile number;
  number.name = "distance_km";
  number.count = 38;
  number.missing = 2;
  number.min = 0.5;
  number.max = 40;
  number.mean = 7.5;
  ColumnProfile text;
  text.name = "day";
  text.type = model::FieldType::text;
  text.count = 40;
  text.first = "2026-01-01";
  text.last = "2026-01-20";
  text.distinct = 20;
  text.top = {{"2026-01-02", 3}};
  DatasetRecord record{dataset, "acme", "rides.csv", "split = train", file, 40, text.first, text.last, {number, text}};
  record.properties = {{"owner", "eta"}};
  DatasetRecord kept = record;
  kept.principal = "local";
  kept.created_us = 1'763'672'558'000'000;
  kept.epoch = 11;
  return {{"dataset_put.request", encode(DatasetPutRequest{idem, record})},
          {"datasets.request", encode(DatasetsRequest{"acme", {dataset}})},
          {"datasets.reply", encode_reply(Status(), DatasetsReply{1, 11, {kept}})}};
}

}  // namespace espalier::wire::samples
