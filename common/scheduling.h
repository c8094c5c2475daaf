// What the operating system is told: its scheduler, what a thread is for; and how much a process needs.
//
// Thread safety: each function concerns the calling thread; threads and processes that it starts later inherit what the
// first two say, but not what give_way() counts.
#pragma once

namespace espalier {

/// For a thread on the request path: waking it up doesn't interrupt whoever runs on the core. On a busy core several
/// messages are then dealt with in one go instead of one a switch; on a core with nothing else to do it makes no
/// difference (sched(7), SCHED_BATCH).
void prefer_throughput();

/// For background work beside the request path: a tenth of the weight of the others (sched(7), nice 10), and
/// give_way() counts from now on.
void yield_to_requests();

/// Between two pieces of background work, each some microseconds long: lets others have the core once this thread has
/// had it for a twentieth of a millisecond, because a thread on the request path doesn't interrupt. A thread that so
/// gets less than a tenth of its time stops giving way until it has caught up: requests that fill a core may slow its
/// releases down, but not hold them up. Does nothing on threads that have not called yield_to_requests().
void give_way();

/// As many open files as the process may have: the usual soft limit of 1,024 is for programs that use select(2). One
/// that holds a tenant's files open, or a client's connection, needs more.
void raise_open_files_limit();

}  // namespace espalier
