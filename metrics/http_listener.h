// A listener for short HTTP questions: GET of one path, answered whole, connection closed. One thread serves all
// connections side by side, so that a slow reader, or one that connects and says nothing, holds nobody else.
//
// Bounds: so many connections at once (the oldest goes when one more comes), so many bytes of a request, so long for
// all of it. Anything else than a GET or HEAD of the path gets 404, 405 or 400.
//
// Thread safety: open() and the destructor from one thread; `answer` is called on the listener's own, one call at a
// time. Ownership: what `answer` uses outlives the listener. Errors: open() tells what can't be bound; a connection
// that breaks is its reader's matter.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "common/status.h"

namespace espalier::metrics {

class HttpListener {
 public:
  struct Options {
    std::string path = "/metrics";
    std::string type = "text/plain; version=0.0.4; charset=utf-8";
    std::size_t most_connections = 32;
    std::int64_t longest_us = 10'000'000;  ///< of a connection, from its accepting to its end
  };

  /// `host`: a name or address, `port` 0 picks one. unavailable: it can't be bound.
  static Result<std::unique_ptr<HttpListener>> open(const std::string& host, std::uint16_t port, Options options,
                                                    std::function<std::string()> answer);
  /// Ends at once, whoever still reads.
  ~HttpListener();

  std::uint16_t port() const { return port_; }

 private:
  static constexpr std::size_t kMostRequestBytes = 8192;

  struct Connection {
    int fd = -1;
    std::int64_t end_us = 0;
    std::string request;
    std::string reply;     ///< empty: the request isn't whole yet
    std::size_t sent = 0;  ///< bytes of it
    bool is_over = false;  ///< all is sent, and said; its reader closes
  };

  HttpListener(Options options, std::function<std::string()> answer);
  Status bind(const std::string& host, std::uint16_t port);
  void run();
  void accept_all(std::int64_t now_us);
  /// false: it is done with, or broken.
  bool serve(Connection& connection);
  bool read_request(Connection& connection);
  bool write_reply(Connection& connection);
  std::string reply_to(const std::string& request) const;

  const Options options_;
  const std::function<std::string()> answer_;
  int listener_ = -1, stop_ = -1;
  std::uint16_t port_ = 0;
  std::list<Connection> connections_;  ///< the thread's; oldest first
  std::thread thread_;
};

}  // namespace espalier::metrics
