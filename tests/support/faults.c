/* Faults of a machine, for a process that is started with this in LD_PRELOAD:
 *
 *   ESPALIER_TEST_CLOCK_OFF=SECONDS    its clock on the wall differs by so much
 *   ESPALIER_TEST_DISK_FAULT=PATH      while there is a file at PATH, what it writes to other files fails
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *to) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  const int result = real(clock, to);
  const char *const off = getenv("ESPALIER_TEST_CLOCK_OFF");
  if (off && clock == CLOCK_REALTIME) to->tv_sec += atol(off);
  return result;
}

static int is_faulty(int fd) {
  const char *const path = getenv("ESPALIER_TEST_DISK_FAULT");
  struct stat of;
  return path && fd > 2 && access(path, F_OK) == 0 && fstat(fd, &of) == 0 && S_ISREG(of.st_mode);
}

#define FAULTY(type, name, parameters, arguments)                     \
  type name parameters {                                              \
    static type(*real) parameters;                                    \
    if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);    \
    if (is_faulty(fd)) {                                              \
      errno = EIO;                                                    \
      return -1;                                                      \
    }                                                                 \
    return real arguments;                                            \
  }

FAULTY(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size))
FAULTY(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at))
FAULTY(ssize_t, pwrite64, (int fd, const void *bytes, size_t size, off64_t at), (fd, bytes, size, at))
FAULTY(int, fsync, (int fd), (fd))
FAULTY(int, fdatasync, (int fd), (fd))
