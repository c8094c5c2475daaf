// The moving parts of the whole-cluster bench (bench/cluster.py puts them together):
//
//   load    sends recorded requests with a window of them under way, checks every answer byte by byte, prints JSON
//   proxy   a bare ZeroMQ ROUTER/DEALER proxy, what a message costs at least
//   worker  answers the recorded replies behind the proxy: the same frames as the cluster's, and nothing else done
//
// The generator is the same for both, and so are the frames. What it does not simulate: many clients, many machines,
// models that do not fit the cache.
//
// With a key file each connects, or listens, with CURVE.
//
// A recording is a file of requests with their replies: u32 count, then for each four frames (request header and body,
// reply header and body), each as u32 size and bytes.
#include <zmq.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/files.h"
#include "common/key_file.h"
#include "common/metrics.h"
#include "common/signals.h"
#include "wire/endpoint.h"

namespace {

using espalier::load;

struct Exchange {
  std::string header, body, reply_header, reply_body;
};

/// What a request carries as its id: which one of the recording it is, and where its start time is kept.
struct RequestId {
  std::uint32_t exchange;
  std::uint32_t slot;
};

void require(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what);
}

std::vector<Exchange> read_recording(const std::string& path) {
  auto bytes = espalier::Files::system().read(path);
  require(bytes.ok(), bytes.ok() ? "" : bytes.status().message());
  std::string_view left = *bytes;
  const auto take = [&](std::size_t size) {
    require(left.size() >= size, path + " is cut off");
    const std::string_view taken = left.substr(0, size);
    left.remove_prefix(size);
    return taken;
  };
  std::vector<Exchange> exchanges(load<std::uint32_t>(take(4).data()));
  for (Exchange& exchange : exchanges)
    for (std::string* frame : {&exchange.header, &exchange.body, &exchange.reply_header, &exchange.reply_body})
      *frame = take(load<std::uint32_t>(take(4).data()));
  require(!exchanges.empty(), path + " is empty");
  return exchanges;
}

class Context {
 public:
  ~Context() { zmq_ctx_term(handle_); }
  void* socket(int type) {
    void* socket = zmq_socket(handle_, type);
    require(socket != nullptr, "no socket");
    const int none = 0, queue = 100'000;
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &queue, sizeof queue);
    return socket;
  }

 private:
  void* handle_ = zmq_ctx_new();
};

/// Who connects, or listens; null: without CURVE.
using Key = std::shared_ptr<const espalier::KeyPair>;

Key read_key(const std::string& path) {
  if (path.empty()) return nullptr;
  const auto file = espalier::read_key_file(path);
  require(file.ok(), file.ok() ? "" : file.status().message());
  return file->pair;
}

void connect(void* socket, const std::string& text, const Key& key) {
  const espalier::wire::Endpoint endpoint = espalier::wire::parse_endpoint(text);
  if (endpoint.key) {
    require(key != nullptr, text + ": needs a key");
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, endpoint.key->view().data(), endpoint.key->view().size());
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, key->public_key().view().data(), key->public_key().view().size());
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, key->secret().data(), key->secret().size());
  }
  require(zmq_connect(socket, endpoint.address.c_str()) == 0, endpoint.address + ": can't connect");
}

/// The endpoint that others connect to.
std::string bind(void* socket, const std::string& address, const Key& key) {
  if (key != nullptr) {
    const int yes = 1;
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, key->secret().data(), key->secret().size());
    zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &yes, sizeof yes);
  }
  require(zmq_bind(socket, address.c_str()) == 0, address + ": can't bind");
  char text[256];
  std::size_t size = sizeof text;
  zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, text, &size);
  espalier::wire::Endpoint bound{text, std::nullopt};
  if (key != nullptr) bound.key = key->public_key();
  return espalier::wire::endpoint_text(bound);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Keeps `window` requests under way and checks each answer.
class Generator {
 public:
  Generator(void* socket, const std::vector<Exchange>& exchanges, std::uint32_t window)
      : socket_(socket), exchanges_(exchanges), started_(window) {}

  void run(double warm_up, double seconds) {
    for (std::uint32_t slot = 0; slot < started_.size(); ++slot) send(slot);
    answer_until(warm_up);
    latency_.clear();
    answered_ = 0;
    const auto start = std::chrono::steady_clock::now();
    answer_until(seconds);
    elapsed_ = seconds_since(start);
  }

  nlohmann::json result() const {
    const auto us = [&](double share) { return latency_.percentile(share); };
    return {{"requests", answered_}, {"seconds", elapsed_}, {"rps", static_cast<double>(answered_) / elapsed_},
            {"p50_us", us(0.5)},     {"p90_us", us(0.9)},   {"p99_us", us(0.99)},
            {"p999_us", us(0.999)},  {"wrong", wrong_},     {"first_wrong", first_wrong_}};
  }

 private:
  static std::int64_t now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  void send(std::uint32_t slot) {
    const RequestId id{next_, slot};
    const Exchange& exchange = exchanges_[next_];
    next_ = static_cast<std::uint32_t>((next_ + 1) % exchanges_.size());
    started_[slot] = now_us();
    zmq_send(socket_, &id, sizeof id, ZMQ_SNDMORE);
    zmq_send(socket_, exchange.header.data(), exchange.header.size(), ZMQ_SNDMORE);
    require(zmq_send(socket_, exchange.body.data(), exchange.body.size(), 0) >= 0, "the request can't be sent");
  }

  void answer_until(double seconds) {
    const auto start = std::chrono::steady_clock::now();
    while (seconds_since(start) < seconds)
      for (int i = 0; i < 64; ++i) take_answer();
  }

  void take_answer() {
    RequestId id{};
    zmq_msg_t frames[4];
    int count = 0, more = 1;
    while (more != 0) {
      require(count < 4, "an answer of too many frames");
      zmq_msg_init(&frames[count]);
      require(zmq_msg_recv(&frames[count], socket_, 0) >= 0, "no answer within 10 s");
      more = zmq_msg_more(&frames[count++]);
    }
    require(zmq_msg_size(&frames[0]) == sizeof id, "an answer to something else");
    std::memcpy(&id, zmq_msg_data(&frames[0]), sizeof id);
    require(id.exchange < exchanges_.size() && id.slot < started_.size() && started_[id.slot] >= 0,
            "an answer to nothing");
    latency_.record(static_cast<std::uint64_t>(now_us() - started_[id.slot]));
    started_[id.slot] = -1;
    check(exchanges_[id.exchange], frames, count);
    for (int i = 0; i < count; ++i) zmq_msg_close(&frames[i]);
    ++answered_;
    send(id.slot);
  }

  void check(const Exchange& expected, zmq_msg_t* frames, int count) {
    const auto view = [](zmq_msg_t& frame) {
      return std::string_view(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    };
    // Map of n, "status", 0: provenance differs from request to request, the status must not.
    constexpr std::size_t kUpToStatus = 9;
    if (count == 3 &&
        view(frames[1]).substr(0, kUpToStatus) == std::string_view(expected.reply_header).substr(0, kUpToStatus) &&
        view(frames[2]) == expected.reply_body)
      return;
    if (wrong_++ == 0) first_wrong_ = espalier::to_hex(count > 1 ? view(frames[1]) : std::string_view());
  }

  void* socket_;
  const std::vector<Exchange>& exchanges_;
  std::vector<std::int64_t> started_;  ///< by slot; -1: not under way
  std::uint32_t next_ = 0;
  std::uint64_t answered_ = 0, wrong_ = 0;
  std::string first_wrong_;
  double elapsed_ = 0;
  espalier::Histogram latency_;
};

int run_load(const std::string& endpoint, const std::string& recording, std::uint32_t window, double seconds,
             const Key& key) {
  const auto exchanges = read_recording(recording);
  Context context;
  void* socket = context.socket(ZMQ_DEALER);
  const int timeout_ms = 10'000;
  zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
  connect(socket, endpoint, key);
  Generator generator(socket, exchanges, window);
  generator.run(0.5, seconds);
  std::puts(generator.result().dump().c_str());
  zmq_close(socket);
  return 0;
}

int run_proxy(const std::string& front, const std::string& back, const Key& key) {
  Context context;
  void *clients = context.socket(ZMQ_ROUTER), *workers = context.socket(ZMQ_DEALER);
  const std::string front_bound = bind(clients, front, key), back_bound = bind(workers, back, key);
  std::puts(nlohmann::json({{"front", front_bound}, {"back", back_bound}}).dump().c_str());
  std::fflush(stdout);
  zmq_proxy(clients, workers, nullptr);
  return 0;
}

int run_worker(const std::string& endpoint, const std::string& recording, const Key& key) {
  const auto exchanges = read_recording(recording);
  Context context;
  void* socket = context.socket(ZMQ_DEALER);
  connect(socket, endpoint, key);
  for (;;) {
    zmq_msg_t frames[4];  // identity, request id, header, body
    for (zmq_msg_t& frame : frames) {
      zmq_msg_init(&frame);
      if (zmq_msg_recv(&frame, socket, 0) < 0) return 1;
    }
    const auto id = load<RequestId>(zmq_msg_data(&frames[1]));
    const Exchange& exchange = exchanges.at(id.exchange);
    zmq_msg_send(&frames[0], socket, ZMQ_SNDMORE);
    zmq_msg_send(&frames[1], socket, ZMQ_SNDMORE);
    zmq_send(socket, exchange.reply_header.data(), exchange.reply_header.size(), ZMQ_SNDMORE);
    zmq_send(socket, exchange.reply_body.data(), exchange.reply_body.size(), 0);
    zmq_msg_close(&frames[2]);
    zmq_msg_close(&frames[3]);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<std::string> words(argv + 1, argv + argc);
  const std::string what = words.empty() ? "" : words[0];
  Key key;
  if (words.size() > 2 && words[words.size() - 2] == "--key") {
    key = read_key(words.back());
    words.resize(words.size() - 2);
  }
  if (what == "load" && words.size() == 5)
    return run_load(words[1], words[2], static_cast<std::uint32_t>(std::stoul(words[3])), std::stod(words[4]), key);
  if (what == "proxy" && words.size() == 3) return run_proxy(words[1], words[2], key);
  if (what == "worker" && words.size() == 3) return run_worker(words[1], words[2], key);
  std::fputs(
      "usage: espalier-bench load ENDPOINT RECORDING WINDOW SECONDS [--key FILE]\n"
      "       espalier-bench proxy FRONT BACK [--key FILE]\n"
      "       espalier-bench worker ENDPOINT RECORDING [--key FILE]\n",
      stderr);
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "espalier-bench: %s\n", error.what());
  return 1;
}
