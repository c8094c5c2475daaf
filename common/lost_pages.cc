#include "common/lost_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

namespace espalier {
namespace {

std::atomic<std::uint64_t> lost{0};
std::uintptr_t page_bytes = 4096;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a signal handler counts");

void put_zeros(int signal, siginfo_t* info, void* /*context*/) {
  const auto page = reinterpret_cast<std::uintptr_t>(info->si_addr) & ~(page_bytes - 1);
  if (info->si_code == BUS_ADRERR) {
    lost.fetch_add(1);  // first: whoever reads the zeros sees the count grown afterwards
    if (mmap(reinterpret_cast<void*>(page), page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
        MAP_FAILED) {
      return;
    }
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

void survive_lost_pages() {
  page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = put_zeros;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

std::uint64_t lost_pages() { return lost.load(); }

}  // namespace espalier
