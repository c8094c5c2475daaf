// How the operating system's scheduler is told what a thread is for.
//
// Thread safety: each function concerns the calling thread; threads and processes that it starts later inherit it.
#pragma once

namespace espalier {

/// For a thread on the request path: waking it up doesn't interrupt whoever runs on the core. On a busy core several messages are then dealt with in one
/// go instead of one a switch; on a core with nothing else to do it makes no difference (sched(7), SCHED_BATCH).
void prefer_throughput();

/// For background work beside the request path: a tenth of the weight of the others (sched(7), nice 10).
void yield_to_requests();

}  // namespace espalier
