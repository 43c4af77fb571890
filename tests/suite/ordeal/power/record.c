/* Writes down, in order, what a program does to the files of one folder: every write and what was brought to the disk. A power
 * cut is made of it afterwards (disk.rs). Nothing is really brought to the disk: that is decided there.
 *
 * POWER_FOLDER   the folder, as the program names it
 * POWER_RECORD   the file that is appended to
 * POWER_RECORDS  the program is killed when it has written so many records; 0 is never */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MADE = 1, OPENED, WRITTEN, SIZED, SYNCED, RENAMED, REMOVED, FOLDER_SYNCED };
enum { FILES_MAX = 65536 };

struct record {
  uint64_t kind, file, offset, length;
};

/* What a descriptor is of: 0 nothing of ours, 1 the folder, else the file's inode. */
static uint64_t of[FILES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static size_t folder_length;
static int record = -1;
static long left;

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("POWER_RECORD"), *records = getenv("POWER_RECORDS");
  folder = getenv("POWER_FOLDER");
  if (!folder || !file) return;
  folder_length = strlen(folder);
  left = records ? atol(records) : 0;
  record = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The name within the folder: empty for the folder itself, NULL for what is elsewhere or is nobody's business after a cut. */
static const char *within(const char *path) {
  if (record < 0 || !path || strncmp(path, folder, folder_length)) return NULL;
  path += folder_length;
  if (*path == 0) return path;
  if (*path != '/' || strchr(path + 1, '/')) return NULL;
  size_t length = strlen(++path);
  return length > 4 && !strcmp(path + length - 4, "-shm") ? NULL : path;
}

static void note(uint64_t kind, uint64_t file, uint64_t offset, const void *bytes, uint64_t length) {
  struct record head = {kind, file, offset, length};
  struct iovec parts[] = {{&head, sizeof head}, {(void *)bytes, length}};
  if (syscall(SYS_writev, record, parts, 2) != (long)(sizeof head + length)) abort();
  if (left && !--left) kill(getpid(), SIGKILL);
}

static uint64_t file_of(int fd) {
  return fd >= 0 && fd < FILES_MAX ? of[fd] : 0;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
  const char *name = at == AT_FDCWD || (path && *path == '/') ? within(path) : NULL;
  if (!name) {
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && fd < FILES_MAX) of[fd] = 0;
    return fd;
  }
  pthread_mutex_lock(&lock);
  int was_there = !access(path, F_OK);
  int fd = (int)syscall(SYS_openat, at, path, flags, mode);
  struct stat seen;
  if (fd >= 0 && fd < FILES_MAX && !fstat(fd, &seen)) {
    of[fd] = S_ISREG(seen.st_mode) ? seen.st_ino : S_ISDIR(seen.st_mode) ? 1 : 0;
    if (S_ISREG(seen.st_mode)) note(was_there ? OPENED : MADE, seen.st_ino, 0, name, strlen(name));
    if (was_there && S_ISREG(seen.st_mode) && flags & O_TRUNC) note(SIZED, seen.st_ino, 0, "", 0);
  }
  pthread_mutex_unlock(&lock);
  return fd;
}

#define MODE(last)                                 \
  mode_t mode = 0;                                 \
  if (last & (O_CREAT | O_TMPFILE)) {              \
    va_list more;                                  \
    va_start(more, last);                          \
    mode = va_arg(more, mode_t);                   \
    va_end(more);                                  \
  }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }

int close(int fd) {
  if (fd >= 0 && fd < FILES_MAX) of[fd] = 0;
  return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  uint64_t file = file_of(fd);
  if (!file) return syscall(SYS_write, fd, bytes, count);
  pthread_mutex_lock(&lock);
  ssize_t written = syscall(SYS_write, fd, bytes, count);
  /* Where it ended, also for a file that is appended to. */
  if (written > 0) note(WRITTEN, file, lseek(fd, 0, SEEK_CUR) - written, bytes, written);
  pthread_mutex_unlock(&lock);
  return written;
}

static ssize_t written_at(int fd, const void *bytes, size_t count, off64_t offset) {
  uint64_t file = file_of(fd);
  if (!file) return syscall(SYS_pwrite64, fd, bytes, count, offset);
  pthread_mutex_lock(&lock);
  ssize_t written = syscall(SYS_pwrite64, fd, bytes, count, offset);
  if (written > 0) note(WRITTEN, file, offset, bytes, written);
  pthread_mutex_unlock(&lock);
  return written;
}

ssize_t pwrite(int fd, const void *b, size_t n, off_t at) { return written_at(fd, b, n, at); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) { return written_at(fd, b, n, at); }

static int sized(int fd, off64_t length) {
  uint64_t file = file_of(fd);
  if (!file) return (int)syscall(SYS_ftruncate, fd, length);
  pthread_mutex_lock(&lock);
  int failed = (int)syscall(SYS_ftruncate, fd, length);
  if (!failed) note(SIZED, file, length, "", 0);
  pthread_mutex_unlock(&lock);
  return failed;
}

int ftruncate(int fd, off_t length) { return sized(fd, length); }
int ftruncate64(int fd, off64_t length) { return sized(fd, length); }

static int synced(int fd, long call) {
  uint64_t file = file_of(fd);
  if (!file) return (int)syscall(call, fd);
  pthread_mutex_lock(&lock);
  note(file == 1 ? FOLDER_SYNCED : SYNCED, file, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return 0;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int rename(const char *from, const char *to) {
  const char *before = within(from), *after = within(to);
  if (!before || !after) return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
  pthread_mutex_lock(&lock);
  int failed = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
  char names[8192];
  int length = snprintf(names, sizeof names, "%s\n%s", before, after);
  if (!failed) note(RENAMED, 0, 0, names, length);
  pthread_mutex_unlock(&lock);
  return failed;
}

int unlink(const char *path) {
  const char *name = within(path);
  if (!name) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  pthread_mutex_lock(&lock);
  int failed = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (!failed) note(REMOVED, 0, 0, name, strlen(name));
  pthread_mutex_unlock(&lock);
  return failed;
}
