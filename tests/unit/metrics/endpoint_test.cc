#include "metrics/endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include "tests/support/status_matchers.h"

namespace espalier::metrics {
namespace {

int connected(const std::string& address) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  EXPECT_EQ(connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return socket;
}

/// What an HTTP server at 127.0.0.1 answers, headers included.
std::string ask(const std::string& address, const std::string& request) {
  const int socket = connected(address);
  EXPECT_EQ(write(socket, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char bytes[4096];
  for (ssize_t got = 0; (got = read(socket, bytes, sizeof bytes)) > 0;) answer.append(bytes, static_cast<size_t>(got));
  close(socket);
  return answer;
}

std::string get(const std::string& address, const std::string& path) {
  return ask(address, "GET " + path + " HTTP/1.0\r\n\r\n");
}

bool has(const std::string& text, const std::string& line) { return text.find(line + "\n") != std::string::npos; }

TEST(MetricsEndpoint, SaysWhatThePageSays) {
  Histogram durations;
  for (const std::uint64_t us : {40, 400, 4000}) durations.record(us);
  ASSERT_OK_AND_ASSIGN(const auto endpoint, Endpoint::open("127.0.0.1:0", [&](Page& page) {
                         page.counter("espalier_test_asked_total", "How often.", 7, {{"tenant", "a\"cme\n"}});
                         page.counter("espalier_test_asked_total", "How often.", 8, {{"tenant", "other"}});
                         page.gauge("espalier_test_bytes", "How many.", 1.5);
                         page.durations("espalier_test_seconds", "How long.", durations);
                         add_process(page, "test", "t0");
                       }));
  const std::string answer = get(endpoint->address(), "/metrics");
  EXPECT_TRUE(has(answer, "# TYPE espalier_test_asked_total counter")) << answer;
  EXPECT_TRUE(has(answer, "espalier_test_asked_total{tenant=\"a\\\"cme\\n\"} 7"));
  EXPECT_TRUE(has(answer, "espalier_test_asked_total{tenant=\"other\"} 8"));
  EXPECT_TRUE(has(answer, "espalier_test_bytes 1.5"));
  EXPECT_TRUE(has(answer, "espalier_test_seconds_count 3"));
  EXPECT_NE(answer.find("espalier_test_seconds_bucket{le=\"0.0005\"} 2\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("espalier_test_seconds_bucket{le=\"+Inf\"} 3\n"), std::string::npos);
  EXPECT_NE(answer.find("process_resident_memory_bytes"), std::string::npos);
  EXPECT_NE(get(endpoint->address(), "/other").find("404"), std::string::npos);
}

TEST(MetricsEndpoint, EndsAtOnceThoughSomebodyReadsNothing) {
  const auto began = std::chrono::steady_clock::now();
  {
    ASSERT_OK_AND_ASSIGN(const auto endpoint, Endpoint::open("127.0.0.1:0", [](Page& page) {
                           page.gauge("espalier_test_bytes", "How many.", 1);
                         }));
    const int mute = connected(endpoint->address());
    EXPECT_NE(get(endpoint->address(), "/metrics").find("200 OK"), std::string::npos);
    close(mute);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

TEST(MetricsEndpoint, ManyThatSayNothingHoldNobodyAndAreBounded) {
  ASSERT_OK_AND_ASSIGN(const auto endpoint, Endpoint::open("127.0.0.1:0", [](Page&) {}));
  std::vector<int> mute;
  for (int i = 0; i < 100; ++i) mute.push_back(connected(endpoint->address()));
  EXPECT_NE(get(endpoint->address(), "/metrics").find("200 OK"), std::string::npos);
  for (const int socket : mute) close(socket);
}

TEST(MetricsEndpoint, RefusesWhatIsNoGet) {
  ASSERT_OK_AND_ASSIGN(const auto endpoint, Endpoint::open("127.0.0.1:0", [](Page&) {}));
  const std::string& address = endpoint->address();
  EXPECT_NE(ask(address, "POST /metrics HTTP/1.1\r\n\r\n").find("405"), std::string::npos);
  EXPECT_NE(ask(address, "nonsense\r\n\r\n").find("400"), std::string::npos);
  EXPECT_NE(ask(address, "GET /metrics SPDY\r\n\r\n").find("400"), std::string::npos);
  EXPECT_NE(ask(address, "GET /metrics?name=x HTTP/1.1\r\n\r\n").find("200 OK"), std::string::npos);
  EXPECT_NE(ask(address, std::string(20'000, 'x')).find("431"), std::string::npos);
  const std::string head = ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
}

TEST(MetricsEndpoint, SaysWhatIsWrongWithAnAddress) {
  const auto fill = [](Page&) {};
  EXPECT_CODE(Endpoint::open("nonsense", fill).status(), Code::invalid_argument);
  EXPECT_CODE(Endpoint::open("127.0.0.1:70000", fill).status(), Code::invalid_argument);
  ASSERT_OK_AND_ASSIGN(const auto first, Endpoint::open("127.0.0.1:0", fill));
  EXPECT_CODE(Endpoint::open(first->address(), fill).status(), Code::unavailable);
}

}  // namespace
}  // namespace espalier::metrics
