// The messages of the search, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/search_messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> search_messages(const Uuid& version) {
  SearchRequest request;
  request.kind = "nodes";
  request.tenant = "acme";
  request.model = "total";
  request.where = "versions > 1";
  request.order = "created desc";
  request.epoch = 11;
  request.time_us = 1'763'672'558'000'000;
  request.cursor = "\x01\x02";
  request.limit = 10;
  const NodeRecord node{{"usa", "ca"}, "state", 2, version, 1'763'672'558'000'000, 11};
  const SearchReply reply{1, 11, {{"acme", "total", encode(node)}}, "\x01\x02"};
  return {{"search.request", encode(request)},
          {"search.reply", encode_reply(Status(), reply)},
          {"search.node", encode(node)},
          {"search.tenant", encode(TenantRecord{"acme", 3})}};
}

}  // namespace espalier::wire::samples
