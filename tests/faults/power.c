#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* A journal of everything that is done to the files of a folder, for powercut.py, which makes of it what a power cut
 * would have left. POWER_FOLDER names the folder, POWER_LOG the journal; what is said on stdout goes there too, before
 * it is said: it is what somebody has been promised.
 *
 * Not seen: shared memory (SQLite's -shm, which need not survive) and what posix_spawn opens (a log: its first write
 * tells of it). Nothing here is kept in memory, so that fork, exec and dup need no care. */

struct __attribute__((packed)) record {
    char kind; /* C created, W written, T truncated, R renamed, U removed, S synced, A said */
    uint32_t pid;
    uint64_t inode, offset;
    uint32_t path, other, data; /* lengths of what follows */
};

static void note(char kind, uint64_t inode, uint64_t offset, const char *path, const char *other, const void *data,
                 size_t size) {
    int saved = errno;
    const char *log = getenv("POWER_LOG");
    struct record head = {kind, (uint32_t)getpid(), inode, offset, strlen(path), strlen(other), size};
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)path, head.path}, {(void *)other, head.other}, {(void *)data, size}};
    int fd = log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        if (syscall(SYS_writev, fd, parts, 4) < 0) abort();
        syscall(SYS_close, fd);
    }
    errno = saved;
}

static int inside(const char *path) {
    const char *folder = getenv("POWER_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    return length && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* The path of a descriptor, where it is of the folder. */
static int path_of(int fd, char *path) {
    char link[64];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    errno = saved;
    path[length < 0 ? 0 : length] = 0;
    return length > 0 && inside(path);
}

static int full_path(int folder, const char *name, char *path) {
    char base[PATH_MAX] = "";
    if (name[0] == '/') snprintf(path, PATH_MAX, "%s", name);
    else {
        if (folder != AT_FDCWD) path_of(folder, base);
        else if (!getcwd(base, sizeof base)) base[0] = 0;
        snprintf(path, PATH_MAX, "%.2000s/%.2000s", base, name);
    }
    return inside(path);
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

static int opened(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat before;
    int ours = (flags & (O_CREAT | O_TRUNC)) && full_path(folder, name, path);
    int there = ours && stat(path, &before) == 0;
    int fd = syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0 && ours) {
        if (!there) note('C', inode_of(fd), 0, path, "", "", 0);
        else if (flags & O_TRUNC) note('T', inode_of(fd), 0, path, "", "", 0);
    }
    return fd;
}

#define MODE(last)                                       \
    mode_t mode = 0;                                     \
    if (flags & (O_CREAT | O_TMPFILE)) {                 \
        va_list more;                                    \
        va_start(more, last);                            \
        mode = va_arg(more, mode_t);                     \
        va_end(more);                                    \
    }

int open(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE(flags) return opened(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE(flags) return opened(folder, name, flags, mode); }

static ssize_t written(int fd, const void *data, ssize_t done, off_t at) {
    char path[PATH_MAX];
    if (done > 0 && path_of(fd, path)) {
        struct stat found;
        if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) note('W', found.st_ino, at, path, "", data, done);
    }
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX];
    if (fd == 1 && !path_of(fd, path)) note('A', 0, 0, "", "", data, size);
    ssize_t done = syscall(SYS_write, fd, data, size);
    off_t end = done > 0 ? lseek(fd, 0, SEEK_CUR) : 0;
    return end < done ? done : written(fd, data, done, end - done);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return written(fd, data, syscall(SYS_pwrite64, fd, data, size, at), at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return pwrite(fd, data, size, at); }

int ftruncate(int fd, off_t size) {
    char path[PATH_MAX];
    int result = syscall(SYS_ftruncate, fd, size);
    if (result == 0 && path_of(fd, path)) note('T', inode_of(fd), size, path, "", "", 0);
    return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int synced(int fd, int result) {
    char path[PATH_MAX];
    if (result == 0 && path_of(fd, path)) note('S', inode_of(fd), 0, path, "", "", 0);
    return result;
}

int fsync(int fd) { return synced(fd, syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { return synced(fd, syscall(SYS_fdatasync, fd)); }

int renameat(int from, const char *old, int to, const char *new) {
    char path[PATH_MAX], other[PATH_MAX];
    int ours = full_path(from, old, path) | full_path(to, new, other);
    int result = syscall(SYS_renameat2, from, old, to, new, 0);
    if (result == 0 && ours) note('R', 0, 0, path, other, "", 0);
    return result;
}
int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    int ours = full_path(folder, name, path);
    int result = syscall(SYS_unlinkat, folder, name, flags);
    if (result == 0 && ours) note('U', 0, 0, path, "", "", 0);
    return result;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
