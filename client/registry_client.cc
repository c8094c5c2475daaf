#include "client/registry_client.h"

namespace espalier::client {

Result<std::unique_ptr<RegistryClient>> RegistryClient::connect(std::vector<std::string> endpoints,
                                                                std::shared_ptr<const KeyPair> key, bool insecure) {
  Exchange::Options options;
  options.peer = "the registry";
  options.late = Code::unavailable;
  // A peer that vanished without closing the connection is noticed within a few seconds.
  options.socket.heartbeat_ms = 1000;
  options.socket.key = std::move(key);
  options.socket.insecure = insecure;
  ASSIGN_OR_RETURN(auto exchange, Exchange::open(std::move(endpoints), std::move(options)));
  return std::unique_ptr<RegistryClient>(new RegistryClient(std::move(exchange)));
}

void RegistryClient::take_bodies(Answer& answer, wire::Message& bodies) {
  bodies.clear();
  for (std::size_t i = 2; i < answer.frames.size(); ++i) bodies.push_back(std::move(answer.frames[i]));
}

}  // namespace espalier::client
