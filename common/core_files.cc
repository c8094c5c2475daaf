#include "common/core_files.h"

#include <sys/prctl.h>

namespace espalier {

void forbid_core_files() {
#if !defined(__SANITIZE_ADDRESS__)
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

}  // namespace espalier
