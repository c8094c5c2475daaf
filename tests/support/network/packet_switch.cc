// A network for tests on one machine: hosts are network namespaces, each with an address and a TUN device whose packets
// this process carries to the others. Every directed link can be cut, lose packets or delay them.
//
//   espalier-packet-switch        commands on stdin, one a line, each answered by one line:
//
//   host NAME ADDRESS/BITS        ok FD      makes a host; its namespace is /proc/PID/fd/FD of this process
//   link FROM TO open             ok         from host FROM to host TO everything passes, at once (the beginning)
//   link FROM TO cut              ok         nothing passes
//   link FROM TO loss SHARE       ok         that share of the packets is lost, 0 to 1
//   link FROM TO delay MS         ok         packets pass after so many milliseconds
//   count FROM TO                 ok PASSED DROPPED
//
// The random numbers of losses begin with the seed in $ESPALIER_NETWORK_SEED (0). A namespace has no name in the file
// system: it ends with this process and those that run in it. This process ends with its stdin, or with its parent.
// What is wrong is answered with "error WHY". Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and /dev/net/tun.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <queue>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

constexpr int kMtu = 9000;
constexpr int kDeviceQueue = 10000;
/// Packets taken from one host before the others get their turn.
constexpr int kPacketsAtOnce = 64;
constexpr std::size_t kIpv4Header = 20, kDestinationAt = 16;

std::int64_t now_us() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

class Fd {
 public:
  Fd(int fd, const std::string& what) : fd_(fd) {
    if (fd_ < 0) fail(what);
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Fd open_namespace() { return {open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/self/ns/net"}; }

void request(const Fd& socket, unsigned long what, ifreq& device, const char* name) {
  if (ioctl(socket.get(), what, &device) < 0) fail(name);
}

ifreq named(const char* name) {
  ifreq device{};
  std::strncpy(device.ifr_name, name, IFNAMSIZ - 1);
  return device;
}

void bring_up(const Fd& socket, const char* name) {
  ifreq device = named(name);
  device.ifr_flags = IFF_UP | IFF_RUNNING;
  request(socket, SIOCSIFFLAGS, device, "bringing a device up");
}

void set_address(const Fd& socket, unsigned long what, std::uint32_t address) {
  ifreq device = named("net0");
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = address;
  std::memcpy(&device.ifr_addr, &in, sizeof in);
  request(socket, what, device, "an address");
}

/// In the current namespace: the loopback device and net0, which has the address. Returns net0's other end.
Fd make_devices(std::uint32_t address, int bits) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a socket");
  bring_up(socket, "lo");
  Fd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), "/dev/net/tun");
  ifreq device = named("net0");
  device.ifr_flags = IFF_TUN | IFF_NO_PI;
  request(tun, TUNSETIFF, device, "TUNSETIFF");
  set_address(socket, SIOCSIFADDR, address);
  set_address(socket, SIOCSIFNETMASK, htonl(~std::uint32_t{0} << (32 - bits)));
  device = named("net0");
  device.ifr_mtu = kMtu;
  request(socket, SIOCSIFMTU, device, "the MTU");
  device = named("net0");
  device.ifr_qlen = kDeviceQueue;
  request(socket, SIOCSIFTXQLEN, device, "the device's queue");
  bring_up(socket, "net0");
  return tun;
}

struct Host {
  std::uint32_t address;  ///< in network order
  Fd tun;
  Fd network;  ///< the namespace
};

struct Link {
  double loss = 0;  ///< 1: cut
  std::int64_t delay_us = 0;
  std::uint64_t passed = 0, dropped = 0;
};

struct Delayed {
  std::int64_t due_us;
  std::uint64_t number;  ///< keeps the order of what is due at once
  std::size_t to;
  std::string packet;
  bool operator>(const Delayed& other) const {
    return std::pair(due_us, number) > std::pair(other.due_us, other.number);
  }
};

class Switch {
 public:
  Switch() : own_(open_namespace()) {
    const char* seed = std::getenv("ESPALIER_NETWORK_SEED");
    if (seed != nullptr) chance_.seed(std::strtoull(seed, nullptr, 10));
  }

  /// Carries packets and takes commands until stdin ends.
  void run();

 private:
  std::string answer(const std::string& line);
  std::string make_host(const std::string& name, const std::string& address);
  std::size_t host(const std::string& name) const;
  Link& link(std::size_t from, std::size_t to) { return links_[from * kMostHosts + to]; }
  bool read_commands();
  void carry(std::size_t from);
  void deliver(std::size_t from, std::string_view packet);
  void deliver_due();
  int wait_ms() const;

  static constexpr std::size_t kMostHosts = 64;
  const Fd own_;
  std::vector<Host> hosts_;
  std::map<std::string, std::size_t> names_;
  std::map<std::uint32_t, std::size_t> addresses_;
  std::vector<Link> links_ = std::vector<Link>(kMostHosts * kMostHosts);
  std::priority_queue<Delayed, std::vector<Delayed>, std::greater<>> delayed_;
  std::uint64_t number_ = 0;
  std::mt19937_64 chance_;
  std::string unread_;
};

std::size_t Switch::host(const std::string& name) const {
  const auto found = names_.find(name);
  if (found == names_.end()) throw std::runtime_error("no host " + name);
  return found->second;
}

std::string Switch::make_host(const std::string& name, const std::string& text) {
  const auto slash = text.find('/');
  in_addr address{};
  const int bits = slash == std::string::npos ? 0 : std::atoi(text.c_str() + slash + 1);
  if (inet_pton(AF_INET, text.substr(0, slash).c_str(), &address) != 1 || bits < 1 || bits > 31) {
    throw std::runtime_error("expected ADDRESS/BITS, got " + text);
  }
  if (names_.contains(name) || addresses_.contains(address.s_addr) || hosts_.size() == kMostHosts) {
    throw std::runtime_error("no further host " + name);
  }
  if (unshare(CLONE_NEWNET) != 0) fail("a network namespace");
  Host made{address.s_addr, make_devices(address.s_addr, bits), open_namespace()};
  if (setns(own_.get(), CLONE_NEWNET) != 0) fail("the way back");
  names_[name] = addresses_[made.address] = hosts_.size();
  hosts_.push_back(std::move(made));
  return std::to_string(hosts_.back().network.get());
}

std::string Switch::answer(const std::string& line) {
  std::istringstream words(line);
  std::string command, first, second, how;
  words >> command >> first >> second >> how;
  if (command == "host") return make_host(first, second);
  Link& found = link(host(first), host(second));
  if (command == "count") return std::to_string(found.passed) + " " + std::to_string(found.dropped);
  double number = 0;
  words >> number;
  if (command != "link") throw std::runtime_error("no command " + command);
  if (how == "open" || how == "cut") {
    found.loss = how == "cut" ? 1 : 0;
    found.delay_us = 0;
  } else if (how == "loss" && words && number >= 0 && number <= 1) {
    found.loss = number;
  } else if (how == "delay" && words && number >= 0) {
    found.delay_us = static_cast<std::int64_t>(number * 1000);
  } else {
    throw std::runtime_error("a link is open, cut, loss SHARE or delay MS, not " + how);
  }
  return {};
}

/// False at the end.
bool Switch::read_commands() {
  char bytes[4096];
  const ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
  if (count <= 0) return false;
  unread_.append(bytes, static_cast<std::size_t>(count));
  for (std::size_t end = 0; (end = unread_.find('\n')) != std::string::npos; unread_.erase(0, end + 1)) {
    try {
      const std::string said = answer(unread_.substr(0, end));
      std::cout << "ok" << (said.empty() ? "" : " ") << said << std::endl;
    } catch (const std::exception& error) {
      if (setns(own_.get(), CLONE_NEWNET) != 0) return false;
      std::cout << "error " << error.what() << std::endl;
    }
  }
  return true;
}

void Switch::carry(std::size_t from) {
  char bytes[65536];
  for (int i = 0; i < kPacketsAtOnce; ++i) {
    const ssize_t count = read(hosts_[from].tun.get(), bytes, sizeof bytes);
    if (count <= 0) return;
    deliver(from, {bytes, static_cast<std::size_t>(count)});
  }
}

void Switch::deliver(std::size_t from, std::string_view packet) {
  // IPv6's greetings of a new device, and addresses that nobody has, go nowhere.
  if (packet.size() < kIpv4Header || (static_cast<unsigned char>(packet[0]) >> 4) != 4) return;
  std::uint32_t destination = 0;
  std::memcpy(&destination, packet.data() + kDestinationAt, sizeof destination);
  const auto to = addresses_.find(destination);
  if (to == addresses_.end()) return;
  Link& way = link(from, to->second);
  if (way.loss > 0 && std::uniform_real_distribution<double>(0, 1)(chance_) < way.loss) {
    ++way.dropped;
    return;
  }
  if (way.delay_us > 0) {
    ++way.passed;
    delayed_.push({now_us() + way.delay_us, ++number_, to->second, std::string(packet)});
    return;
  }
  const bool arrived = write(hosts_[to->second].tun.get(), packet.data(), packet.size()) >= 0;
  ++(arrived ? way.passed : way.dropped);
}

void Switch::deliver_due() {
  const std::int64_t now = now_us();
  while (!delayed_.empty() && delayed_.top().due_us <= now) {
    const Delayed& due = delayed_.top();
    // What a full device doesn't take is lost, as on a wire.
    [[maybe_unused]] const ssize_t written = write(hosts_[due.to].tun.get(), due.packet.data(), due.packet.size());
    delayed_.pop();
  }
}

int Switch::wait_ms() const {
  if (delayed_.empty()) return -1;
  return static_cast<int>(std::max<std::int64_t>(0, (delayed_.top().due_us - now_us() + 999) / 1000));
}

void Switch::run() {
  for (;;) {
    std::vector<pollfd> ready = {{STDIN_FILENO, POLLIN, 0}};
    for (const Host& host : hosts_) ready.push_back({host.tun.get(), POLLIN, 0});
    if (poll(ready.data(), ready.size(), wait_ms()) < 0 && errno != EINTR) fail("poll");
    deliver_due();
    for (std::size_t i = 1; i < ready.size(); ++i) {
      if (ready[i].revents != 0) carry(i - 1);
    }
    if (ready[0].revents != 0 && !read_commands()) return;
  }
}

}  // namespace

int main() try {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Switch().run();
  return 0;
} catch (const std::exception& error) {
  std::cout << "error " << error.what() << std::endl;
  return 1;
}
