/* Preloaded into a process (LD_PRELOAD): records what it does to the files below $FAULTS_ROOT, so that a power
   cut can be simulated, and makes chosen calls fail. tests/faults/disk.py compiles and reads it.

   A record is a line "operation size offset path [second path]" (paths end with a zero byte), then `size` bytes.
   W write  T truncate  S sync of a file or folder  C create  R rename  U unlink  M mkdir  X rmdir */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_file = -1;
static long calls, fail_at = -1;
static int fail_with, fail_always;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = dlsym(RTLD_NEXT, #name)

/* Called through ctypes. */
void faults_record(int fd) { log_file = fd; }
void faults_fail(long at, int error, int always) { calls = 0; fail_at = at; fail_with = error; fail_always = always; }
long faults_calls(void) { return calls; }

static int is_below(const char *path) {
  const char *root = getenv("FAULTS_ROOT");
  return root && !strncmp(path, root, strlen(root)) && !strstr(path, "-shm");
}

static int path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, PATH_MAX - 1);
  path[size < 0 ? 0 : size] = 0;
  return size > 0 && is_below(path);
}

static void absolute(int folder, const char *name, char *path) {
  char base[PATH_MAX] = "";
  if (name[0] != '/') {
    if (folder == AT_FDCWD) { if (!getcwd(base, sizeof base)) base[0] = 0; }
    else path_of(folder, base);
    strncat(base, "/", sizeof base - strlen(base) - 1);
  }
  snprintf(path, PATH_MAX, "%.2000s%.2000s", base, name);
}

/* Whether this call is to fail; sets errno. */
static int fails(void) {
  calls++;
  if (fail_at < 0 || !(calls == fail_at || (fail_always && calls > fail_at))) return 0;
  errno = fail_with;
  return 1;
}

static void record(char operation, const char *path, const char *second, const void *data, size_t size, long offset) {
  if (log_file < 0) return;
  static ssize_t (*real)(int, const struct iovec *, int);
  if (!real) real = dlsym(RTLD_NEXT, "writev");
  char head[3 * PATH_MAX];
  int length = snprintf(head, sizeof head, "%c %zu %ld %s%c%s%c\n", operation, size, offset, path, 0, second, 0);
  struct iovec parts[2] = {{head, length}, {(void *)data, size}};
  int saved = errno;
  pthread_mutex_lock(&lock);
  if (real(log_file, parts, size ? 2 : 1) < 0) abort();
  pthread_mutex_unlock(&lock);
  errno = saved;
}

ssize_t write(int fd, const void *data, size_t size) {
  REAL(ssize_t, write, int, const void *, size_t);
  char path[PATH_MAX];
  if (!path_of(fd, path)) return real(fd, data, size);
  if (fails()) return -1;
  struct stat state;
  long offset = fcntl(fd, F_GETFL) & O_APPEND ? (fstat(fd, &state), state.st_size) : lseek(fd, 0, SEEK_CUR);
  ssize_t done = real(fd, data, size);
  if (done > 0) record('W', path, "", data, done, offset);
  return done;
}

static ssize_t write_at(const char *name, int fd, const void *data, size_t size, off_t offset) {
  ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, name);
  char path[PATH_MAX];
  int below = path_of(fd, path);
  if (below && fails()) return -1;
  ssize_t done = real(fd, data, size, offset);
  if (below && done > 0) record('W', path, "", data, done, offset);
  return done;
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return write_at("pwrite", fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return write_at("pwrite64", fd, data, size, offset); }

static ssize_t read_at(const char *name, int fd, void *data, size_t size, off_t offset) {
  ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, name);
  char path[PATH_MAX];
  if (path_of(fd, path) && fails()) return -1;
  return real(fd, data, size, offset);
}
ssize_t pread(int fd, void *data, size_t size, off_t offset) { return read_at("pread", fd, data, size, offset); }
ssize_t pread64(int fd, void *data, size_t size, off_t offset) { return read_at("pread64", fd, data, size, offset); }
ssize_t read(int fd, void *data, size_t size) {
  REAL(ssize_t, read, int, void *, size_t);
  char path[PATH_MAX];
  if (path_of(fd, path) && fails()) return -1;
  return real(fd, data, size);
}

static int synced(const char *name, int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  char path[PATH_MAX];
  int below = path_of(fd, path);
  if (below && fails()) return -1;
  int done = real(fd);
  if (below && !done) record('S', path, "", NULL, 0, 0);
  return done;
}
int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }

static int cut(const char *name, int fd, off_t size) {
  int (*real)(int, off_t) = dlsym(RTLD_NEXT, name);
  char path[PATH_MAX];
  int below = path_of(fd, path);
  if (below && fails()) return -1;
  int done = real(fd, size);
  if (below && !done) record('T', path, "", NULL, 0, size);
  return done;
}
int ftruncate(int fd, off_t size) { return cut("ftruncate", fd, size); }
int ftruncate64(int fd, off_t size) { return cut("ftruncate64", fd, size); }
int truncate(const char *name, off_t size) {
  REAL(int, truncate, const char *, off_t);
  char path[PATH_MAX];
  absolute(AT_FDCWD, name, path);
  if (is_below(path) && fails()) return -1;
  int done = real(name, size);
  if (is_below(path) && !done) record('T', path, "", NULL, 0, size);
  return done;
}
int truncate64(const char *name, off_t size) { return truncate(name, size); }

static int opened(const char *real_name, int folder, const char *name, int flags, mode_t mode) {
  int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, real_name);
  char path[PATH_MAX];
  struct stat state;
  absolute(folder, name, path);
  int below = is_below(path), there = below && !stat(path, &state);
  if (below && (flags & (O_CREAT | O_TRUNC)) && fails()) return -1;
  int fd = real(folder, name, flags, mode);
  if (fd >= 0 && below && (flags & O_CREAT) && !there) record('C', path, "", NULL, 0, 0);
  else if (fd >= 0 && below && (flags & O_TRUNC)) record('T', path, "", NULL, 0, 0);
  return fd;
}
#define MODE mode_t mode = 0; if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *name, int flags, ...) { MODE return opened("openat", AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE return opened("openat64", AT_FDCWD, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE return opened("openat", folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE return opened("openat64", folder, name, flags, mode); }

#define NAMED(function, letter) \
int function(const char *name) { \
  REAL(int, function, const char *); \
  char path[PATH_MAX]; \
  absolute(AT_FDCWD, name, path); \
  if (is_below(path) && fails()) return -1; \
  int done = real(name); \
  if (is_below(path) && !done) record(letter, path, "", NULL, 0, 0); \
  return done; \
}
NAMED(unlink, 'U')
NAMED(rmdir, 'X')

int mkdir(const char *name, mode_t mode) {
  REAL(int, mkdir, const char *, mode_t);
  char path[PATH_MAX];
  absolute(AT_FDCWD, name, path);
  if (is_below(path) && fails()) return -1;
  int done = real(name, mode);
  if (is_below(path) && !done) record('M', path, "", NULL, 0, 0);
  return done;
}

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  char first[PATH_MAX], second[PATH_MAX];
  absolute(AT_FDCWD, from, first);
  absolute(AT_FDCWD, to, second);
  if (is_below(second) && fails()) return -1;
  int done = real(from, to);
  if (is_below(second) && !done) record('R', first, second, NULL, 0, 0);
  return done;
}
