/*
 * A preload library: writes and fsyncs of files under $FAULTY_DIR fail or wait, as the first byte of $FAULT_FILE says:
 * 'w' EIO at write, 'f' ENOSPC at write, 's' EIO at fsync, 'd' fsync waits 150 ms; anything else is no fault.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char fault_for(int fd) {
  const char *directory = getenv("FAULTY_DIR");
  const char *control = getenv("FAULT_FILE");
  char link[64], path[4096], fault = '-';
  if (directory == NULL || control == NULL) return fault;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return fault;
  path[length] = 0;
  if (strncmp(path, directory, strlen(directory)) != 0) return fault;
  int from = open(control, O_RDONLY | O_CLOEXEC);
  if (from < 0) return fault;
  if (read(from, &fault, 1) != 1) fault = '-';
  close(from);
  return fault;
}

static int refused(int fd) {
  char fault = fault_for(fd);
  if (fault == 'w') errno = EIO;
  else if (fault == 'f') errno = ENOSPC;
  else return 0;
  return 1;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

ssize_t write(int fd, const void *from, size_t count) {
  if (refused(fd)) return -1;
  return REAL(ssize_t, "write", int, const void *, size_t)(fd, from, count);
}
ssize_t pwrite(int fd, const void *from, size_t count, off_t at) {
  if (refused(fd)) return -1;
  return REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)(fd, from, count, at);
}
ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
  if (refused(fd)) return -1;
  return REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)(fd, from, count, at);
}
static int failed_sync(int fd) {
  char fault = fault_for(fd);
  if (fault == 'd') usleep(150000);
  if (fault != 's') return 0;
  errno = EIO;
  return 1;
}
int fsync(int fd) {
  return failed_sync(fd) ? -1 : REAL(int, "fsync", int)(fd);
}
int fdatasync(int fd) {
  return failed_sync(fd) ? -1 : REAL(int, "fdatasync", int)(fd);
}
