#include "metrics/disk.h"

#include <sys/statvfs.h>
#include <unistd.h>

namespace espalier::metrics {

Disk disk_of(const std::string& folder) {
  struct statvfs of {};
  if (statvfs(folder.c_str(), &of) != 0) return {};
  // What is kept back for the superuser is there for it.
  const auto free = geteuid() == 0 ? of.f_bfree : of.f_bavail;
  return {free * of.f_frsize, of.f_blocks * of.f_frsize, (of.f_flag & ST_RDONLY) != 0};
}

void add_disk(Page& page, const std::string& prefix, const std::string& folder) {
  const Disk disk = disk_of(folder);
  if (disk.size_bytes == 0) return;
  page.gauge(prefix + "_disk_free_bytes", "Free on the file system of its folder.",
             static_cast<double>(disk.free_bytes));
  page.gauge(prefix + "_disk_size_bytes", "Of the file system of its folder.", static_cast<double>(disk.size_bytes));
}

}  // namespace espalier::metrics
