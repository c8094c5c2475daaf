// No core file of a process that holds a secret: whoever could read it had the key.
//
// Thread safety: any thread; concerns the process.
#pragma once

namespace espalier {

/// The system writes no core file of this process from now on, and no other process of the same user may look into its
/// memory; root may (prctl(2), PR_SET_DUMPABLE). Does nothing in builds with AddressSanitizer, whose search for leaks
/// needs to look.
void forbid_core_files();

}  // namespace espalier
