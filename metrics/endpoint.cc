#include "metrics/endpoint.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <charconv>
#include <exception>
#include <mutex>
#include <vector>

namespace espalier::metrics {
namespace {

prometheus::MetricType type_of(Kind kind) {
  switch (kind) {
    case Kind::counter: return prometheus::MetricType::Counter;
    case Kind::gauge: return prometheus::MetricType::Gauge;
    case Kind::histogram: return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric metric_of(const Sample& sample, Kind kind) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
  if (kind == Kind::counter) metric.counter.value = sample.value;
  if (kind == Kind::gauge) metric.gauge.value = sample.value;
  if (kind == Kind::histogram) {
    metric.histogram.sample_count = sample.count;
    metric.histogram.sample_sum = sample.sum;
    for (std::size_t i = 0; i < sample.up_to.size(); ++i)
      metric.histogram.bucket.push_back({sample.up_to[i], Page::bounds()[i]});
  }
  return metric;
}

/// The HTTP library says only that it can't listen, so what can be wrong with an address is looked at before.
Status check_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  unsigned port = 65'536;
  if (colon != std::string::npos && colon > 0) {
    const char* const end = address.data() + address.size();
    const auto [stop, error] = std::from_chars(address.data() + colon + 1, end, port);
    if (error != std::errc() || stop != end) port = 65'536;
  }
  if (port <= 65'535) return {};
  return invalid_argument("metrics: " + address + " is not HOST:PORT");
}

}  // namespace

class Endpoint::Source : public prometheus::Collectable {
 public:
  explicit Source(std::function<void(Page&)> fill) : fill_(std::move(fill)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    Page page;
    {
      const std::lock_guard lock(mutex_);
      fill_(page);
    }
    std::vector<prometheus::MetricFamily> families;
    for (const auto& [name, family] : page.families()) {
      prometheus::MetricFamily& to = families.emplace_back();
      to.name = name;
      to.help = family.help;
      to.type = type_of(family.kind);
      for (const Sample& sample : family.samples) to.metric.push_back(metric_of(sample, family.kind));
    }
    return families;
  }

 private:
  const std::function<void(Page&)> fill_;
  mutable std::mutex mutex_;  ///< held while `fill_` runs
};

struct Endpoint::Server {
  explicit Server(const std::string& address) : exposer(address, 1) {}
  prometheus::Exposer exposer;
};

Endpoint::Endpoint() = default;
Endpoint::~Endpoint() = default;

Result<std::unique_ptr<Endpoint>> Endpoint::open(const std::string& address, std::function<void(Page&)> fill) {
  RETURN_IF_ERROR(check_address(address));
  std::unique_ptr<Endpoint> endpoint(new Endpoint());
  endpoint->source_ = std::make_shared<Source>(std::move(fill));
  try {
    endpoint->server_ = std::make_unique<Server>(address);
    endpoint->server_->exposer.RegisterCollectable(endpoint->source_);
    const std::vector<int> ports = endpoint->server_->exposer.GetListeningPorts();
    endpoint->address_ = address.substr(0, address.rfind(':') + 1) + std::to_string(ports.at(0));
  } catch (const std::exception& error) {
    return unavailable("metrics: cannot listen at " + address + ": " + error.what());
  }
  return endpoint;
}

}  // namespace espalier::metrics
