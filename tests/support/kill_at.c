/* Preloaded into a program, ends it with SIGKILL at its N-th call that changes files (GOMAI_KILL_AT=N, from 1): a write
 * when half of it is done, anything else just before it. Calls that make a program's output on stdout or stderr don't
 * count. C, since it must not bring a C++ runtime along. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

/* Is this call the last? */
static int last(void) {
  const char* at = getenv("GOMAI_KILL_AT");
  return at != NULL && atomic_fetch_add(&calls, 1) + 1 == atol(at);
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void* data, size_t size) {
  if (fd > 2 && last()) {
    REAL(write)(fd, data, size / 2);
    die();
  }
  return REAL(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  if (last()) {
    REAL(pwrite)(fd, data, size / 2, offset);
    die();
  }
  return REAL(pwrite)(fd, data, size, offset);
}

ssize_t copy_file_range(int in, off64_t* in_at, int out, off64_t* out_at, size_t size, unsigned flags) {
  if (last()) {
    REAL(copy_file_range)(in, in_at, out, out_at, size / 2, flags);
    die();
  }
  return REAL(copy_file_range)(in, in_at, out, out_at, size, flags);
}

#define BEFORE(result, name, parameters, arguments) \
  result name parameters {                          \
    if (last()) die();                              \
    return REAL(name) arguments;                    \
  }
BEFORE(int, rename, (const char* from, const char* to), (from, to))
BEFORE(int, unlink, (const char* path), (path))
BEFORE(int, remove, (const char* path), (path))
BEFORE(int, ftruncate, (int fd, off_t size), (fd, size))
BEFORE(int, close, (int fd), (fd))
BEFORE(int, fchmod, (int fd, mode_t mode), (fd, mode))
BEFORE(int, fsync, (int fd), (fd))
BEFORE(int, fdatasync, (int fd), (fd))
BEFORE(int, mkdir, (const char* path, mode_t mode), (path, mode))

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const int mode = (flags & O_CREAT) != 0 ? va_arg(rest, int) : 0;
  va_end(rest);
  if ((flags & O_CREAT) != 0 && last()) die();
  return REAL(open)(path, flags, mode);
}
