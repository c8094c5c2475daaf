// Whether this build is a sanitized one: there the same code runs up to fifty times slower, so tests that draw at
// random draw less.
#pragma once

namespace espalier::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

/// Under ThreadSanitizer, which doesn't see the order that libzmq gives to messages handed from thread to thread within
/// a process.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kIsThreadSanitized = true;
#else
inline constexpr bool kIsThreadSanitized = false;
#endif

}  // namespace espalier::testing
