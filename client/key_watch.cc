#include "client/key_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "common/hash.h"
#include "common/log.h"

namespace espalier::client {
namespace {

/// A question waits at the registry so long; whoever was cut off meanwhile asks anew soon after.
constexpr std::int64_t kWatchWaitUs = 1'000'000;
constexpr std::int64_t kWatchTimeoutUs = 1'000'000;
constexpr std::int64_t kFirstWatchBackoffUs = 50'000;
constexpr std::int64_t kLongestWatchBackoffUs = 500'000;
constexpr std::string_view kKeysMagic = "ESPKEYS1";

}  // namespace

std::string encode_keys(const wire::KeysReply& keys) {
  std::string bytes(kKeysMagic);
  bytes += wire::encode(keys);
  append<std::uint64_t>(bytes, xxh3_64(bytes));
  return bytes;
}

Result<wire::KeysReply> decode_keys(std::string_view bytes) {
  constexpr std::size_t kSum = sizeof(std::uint64_t);
  if (bytes.size() < kKeysMagic.size() + kSum || !bytes.starts_with(kKeysMagic)) {
    return corrupt("not the keys that a process knew, or of a newer Espalier");
  }
  const std::string_view checked = bytes.substr(0, bytes.size() - kSum);
  if (load<std::uint64_t>(bytes.data() + checked.size()) != xxh3_64(checked)) return corrupt("checksum");
  Result<wire::KeysReply> keys = wire::decode<wire::KeysReply>(checked.substr(kKeysMagic.size()));
  if (!keys.ok()) return corrupt(keys.status().message());
  return keys;
}

Result<std::unique_ptr<KeyWatch>> KeyWatch::start(wire::Context& context, Options options, Files& files,
                                                  const Clock& clock) {
  std::unique_ptr<KeyWatch> watch(new KeyWatch(std::move(options), files, clock));
  ASSIGN_OR_RETURN(watch->keyring_, wire::Keyring::make(context));
  ASSIGN_OR_RETURN(watch->registry_,
                   RegistryClient::connect(watch->options_.registry, watch->options_.key, watch->options_.insecure));
  watch->stop_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (watch->stop_fd_ < 0) return Status(Code::resource_exhausted, "no file descriptor is free");
  watch->restore();
  watch->thread_ = std::thread([own = watch.get()] { own->run(); });
  return watch;
}

KeyWatch::~KeyWatch() {
  is_stopping_ = true;
  if (stop_fd_ >= 0) ::eventfd_write(stop_fd_, 1);
  if (thread_.joinable()) thread_.join();
  if (stop_fd_ >= 0) ::close(stop_fd_);
}

void KeyWatch::restore() {
  if (options_.file.empty() || !files_.exists(options_.file)) return;
  const Result<std::string> bytes = files_.read(options_.file);
  Result<wire::KeysReply> saved = bytes.ok() ? decode_keys(*bytes) : Result<wire::KeysReply>(bytes.status());
  if (!saved.ok()) {
    log::warn(options_.process, "keys of the last run not read", {{"why", saved.status().at(options_.file)}});
    return;
  }
  known_ = *std::move(saved);
  has_known_ = true;
  count();
}

void KeyWatch::save() {
  if (!has_unsaved_ || options_.file.empty()) return;
  const Status saved = files_.replace(options_.file, encode_keys(known_));
  if (saved.ok()) has_unsaved_ = false;
  if (!saved.ok()) log::warn(options_.process, "keys not written", {{"why", saved}});
}

/// From now on these count, as of now.
void KeyWatch::count() {
  const std::int64_t wall_us = clock_.wall_us();
  keyring_->take(known_.keys, wall_us);
  end_us_ = wire::next_end_us(known_.keys, wall_us);
}

void KeyWatch::run() {
  std::int64_t backoff_us = kFirstWatchBackoffUs;
  bool was_well = true;
  while (!is_stopping_) {
    const Status status = step();
    if (left_us() == 0) count();
    if (is_stopping_) break;
    if (status.ok() != was_well && !status.ok()) {
      log::warn(options_.process, "keys not asked for, those known last go on counting", {{"why", status}});
    }
    was_well = status.ok();
    if (was_well) {
      backoff_us = kFirstWatchBackoffUs;
      continue;
    }
    wait(backoff_us);
    backoff_us = std::min(backoff_us * 2, kLongestWatchBackoffUs);
  }
}

/// Until the first of the keys that count ends by itself; a long time where none does.
std::int64_t KeyWatch::left_us() const {
  if (end_us_ == 0) return kWatchWaitUs;
  return std::clamp<std::int64_t>(end_us_ - clock_.wall_us(), 0, kWatchWaitUs);
}

/// Or until it is to end, or a key ends.
void KeyWatch::wait(std::int64_t us) {
  us = std::min(us, left_us() + 999);
  pollfd stop{stop_fd_, POLLIN, 0};
  ::poll(&stop, 1, static_cast<int>(us / 1000));
}

Status KeyWatch::step() {
  ASSIGN_OR_RETURN(wire::KeysReply reply, ask());
  if (reply.unchanged) {
    save();
    return {};
  }
  known_ = std::move(reply);
  has_known_ = has_unsaved_ = true;
  count();
  log::info(options_.process, "keys", {{"epoch", known_.epoch}, {"keys", known_.keys.size()}});
  save();
  return {};
}

Result<wire::KeysReply> KeyWatch::ask() {
  wire::KeysRequest request;
  if (has_known_) {
    request.generation = known_.generation;
    request.after = known_.epoch;
    request.wait_us = left_us();
  }
  const Ticket ticket = registry_->post(request, {}, kWatchTimeoutUs);
  Answer answer;
  for (;;) {
    while (registry_->poll(answer, 0)) {
      if (answer.ticket == ticket) return RegistryClient::reply_to<wire::KeysRequest>(answer);
    }
    wire::Poller poller;
    poller.add(registry_->socket());
    const std::size_t stop = poller.add_fd(stop_fd_);
    // A key ends at its time, whether the registry answers or not.
    if (poller.wait(std::min(registry_->next_event_us(), left_us())) && poller.ready(stop)) {
      registry_->forget(ticket);
      return unavailable("stopping");
    }
    if (left_us() == 0) count();
  }
}

}  // namespace espalier::client
