// Reading a page of a mapped file that the file no longer has: cut short by somebody, or its blocks can't be read.
//
// Thread safety: survive_lost_pages() once, before there are threads; lost_pages() any thread.
#pragma once

#include <cstdint>

namespace espalier {

/// From now on such a page is zeros, and is counted, instead of ending the process (SIGBUS with BUS_ADRERR). Who reads
/// mapped bytes that matter looks at lost_pages() afterwards. Other bus errors end the process as before.
void survive_lost_pages();

/// How many there were.
std::uint64_t lost_pages();

}  // namespace espalier
