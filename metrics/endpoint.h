// The page of a process over HTTP, for Prometheus: http://ADDRESS/metrics.
//
// Thread safety: a thread of the endpoint's own calls `fill`; it must not wait for long. Ownership: what `fill` uses
// outlives the endpoint. Errors: what can't be bound is told by open().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/status.h"
#include "metrics/page.h"

namespace espalier::metrics {

class HttpListener;

class Endpoint {
 public:
  /// `address`: HOST:PORT, port 0 picks one. invalid_argument: not an address; unavailable: it is taken.
  static Result<std::unique_ptr<Endpoint>> open(const std::string& address, std::function<void(Page&)> fill);
  ~Endpoint();

  /// HOST:PORT that it is reached at.
  const std::string& address() const { return address_; }

 private:
  Endpoint();

  std::string address_;
  std::unique_ptr<HttpListener> listener_;
};

}  // namespace espalier::metrics
