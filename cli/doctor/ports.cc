#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/doctor/checks.h"
#include "cli/output.h"
#include "wire/endpoint.h"
#include "wire/messages.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kHelloPatienceUs = 2'000'000;
constexpr int kMetricsConnectMs = 2000;

/// Why nobody takes a connection there; empty: somebody does.
std::string why_not_connected(const std::string& host_and_port) {
  const std::size_t colon = host_and_port.rfind(':');
  if (colon == std::string::npos) return "no HOST:PORT";
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure =
      getaddrinfo(host_and_port.substr(0, colon).c_str(), host_and_port.substr(colon + 1).c_str(), &hints, &found);
  if (failure != 0) return gai_strerror(failure);
  const int socket = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = socket < 0 ? errno : 0;
  if (socket >= 0 && connect(socket, found->ai_addr, found->ai_addrlen) != 0) error = errno;
  freeaddrinfo(found);
  if (error == EINPROGRESS) {
    pollfd done{socket, POLLOUT, 0};
    socklen_t size = sizeof error;
    if (poll(&done, 1, kMetricsConnectMs) != 1) {
      error = ETIMEDOUT;
    } else if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  if (socket >= 0) close(socket);
  return error == 0 ? "" : std::strerror(error);
}

}  // namespace

void check_ports(const Patient& patient, const Shared& shared, const std::vector<Heard>& heard, Findings& findings) {
  std::vector<Process> each;  // a process may answer at one endpoint and not at another
  std::vector<std::size_t> whose;
  for (std::size_t i = 0; i < patient.processes.size(); ++i) {
    for (const std::string& endpoint : patient.processes[i].endpoints) {
      each.push_back({patient.processes[i].role, wire::parse_endpoint(endpoint).address, {endpoint}});
      whose.push_back(i);
    }
  }
  const auto answers = ask_all(shared, each, wire::encode(wire::HelloRequest{"doctor"}), kHelloPatienceUs);
  if (!answers.ok()) {
    findings.add(Severity::unknown, "ports", "all", answers.status().text(), "see to the key that asks");
    return;
  }
  for (std::size_t i = 0; i < each.size(); ++i) {
    const Process& process = patient.processes[whose[i]];
    const std::string subject = process.name + " at " + each[i].name;
    const bool is_secured = each[i].endpoints[0].find('#') != std::string::npos;
    if ((*answers)[i].body_count() > 0 || !(*answers)[i].header().empty()) {
      findings.add(Severity::ok, "ports", subject, "answers");
      continue;
    }
    std::string to_do =
        "is it running? `systemctl status espalier-" + process.role + "`; does a firewall let it through?";
    if (is_secured) to_do += " Does the key that asks count, and is the endpoint's key that of the process?";
    if (heard[whose[i]].answers)
      to_do = "it answers at another of its endpoints: its thread there hangs, or a firewall";
    std::string found = "no answer within 2 s";
    if (const Status& why = (*answers)[i].status; why.code() == Code::failed_precondition) {
      found = "isn't asked: " + why.message();
      to_do = "name its endpoint with the public half of its key, or say --insecure";
    }
    findings.add(Severity::problem, "ports", subject, found, to_do);
  }
  for (const ClusterProcess& process : patient.local_processes) {
    if (process.metrics.empty()) continue;
    const std::string why = why_not_connected(process.metrics);
    findings.add(why.empty() ? Severity::ok : Severity::warning, "ports",
                 process.name + "'s metrics at " + process.metrics, why.empty() ? "takes connections" : why,
                 why.empty() ? "" : "Prometheus hears nothing of it");
  }
}

}  // namespace espalier::cli
