#include "metrics/endpoint.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <charconv>
#include <cstdint>
#include <utility>
#include <vector>

#include "metrics/http_listener.h"

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

Status check_address(const std::string& address, std::string& host, std::uint16_t& port) {
  const std::size_t colon = address.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    const char* const end = address.data() + address.size();
    const auto [stop, error] = std::from_chars(address.data() + colon + 1, end, port);
    host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);  // IPv6
    if (error == std::errc() && stop == end) return {};
  }
  return invalid_argument("metrics: " + address + " is not HOST:PORT");
}

std::string text_of(const Page& page) {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [name, family] : page.families()) {
    prometheus::MetricFamily& to = families.emplace_back();
    to.name = name;
    to.help = family.help;
    to.type = type_of(family.kind);
    for (const Sample& sample : family.samples) to.metric.push_back(metric_of(sample, family.kind));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace

Endpoint::Endpoint() = default;
Endpoint::~Endpoint() = default;

Result<std::unique_ptr<Endpoint>> Endpoint::open(const std::string& address, std::function<void(Page&)> fill) {
  std::string host;
  std::uint16_t port = 0;
  RETURN_IF_ERROR(check_address(address, host, port));
  std::unique_ptr<Endpoint> endpoint(new Endpoint());
  auto listener = HttpListener::open(host, port, {}, [fill = std::move(fill)] {
    Page page;
    fill(page);
    return text_of(page);
  });
  if (!listener.ok()) {
    return unavailable("metrics: cannot listen at " + address + ": " + std::string(listener.status().message()));
  }
  endpoint->listener_ = *std::move(listener);
  endpoint->address_ = address.substr(0, address.rfind(':') + 1) + std::to_string(endpoint->listener_->port());
  return endpoint;
}

}  // namespace espalier::metrics
