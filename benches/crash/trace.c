// Writes down every operation of a process on files below TRACE_DIR, with its bytes, in the order in which they happened.
//
// A record of TRACE_LOG is: kind (1 byte), inode (8), offset (8), length of path, other path and data (4 each), path, other path, data.
// Lines that go to standard output are written down, too: they are what the user was told. Loaded with LD_PRELOAD.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, RENAME, LINK, UNLINK, MKDIR, RMDIR, SAID };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static const char *below(const char *path, char *absolute) {
    const char *folder = getenv("TRACE_DIR");
    if (!folder || !path) return NULL;
    if (path[0] != '/') {
        if (!getcwd(absolute, PATH_MAX)) return NULL;
        size_t length = strlen(absolute);
        snprintf(absolute + length, PATH_MAX - length, "/%s", path);
        path = absolute;
    }
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 ? path + length : NULL;
}

static const char *path_of(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return below(buffer, NULL);
}

static uint64_t inode(int fd) {
    struct stat stat;
    return fstat(fd, &stat) == 0 ? stat.st_ino : 0;
}

static void put(const void *bytes, size_t length) {
    while (length > 0) {
        long done = syscall(SYS_write, log_fd, bytes, length);
        if (done <= 0) abort();
        bytes = (const char *)bytes + done;
        length -= done;
    }
}

static void record(uint8_t kind, uint64_t node, uint64_t offset, const char *a, const char *b, const void *data, size_t length) {
    int saved = errno;
    if (log_fd < 0) {
        const char *file = getenv("TRACE_LOG");
        if (!file) return;
        log_fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0) abort();
    }
    uint32_t lengths[3] = {a ? strlen(a) : 0, b ? strlen(b) : 0, length};
    put(&kind, 1);
    put(&node, 8);
    put(&offset, 8);
    put(lengths, 12);
    put(a, lengths[0]);
    put(b, lengths[1]);
    put(data, length);
    errno = saved;
}

#define REAL(name, type) static type real = NULL; if (!real) real = (type)dlsym(RTLD_NEXT, #name)
#define LOCK pthread_mutex_lock(&mutex)
#define UNLOCK pthread_mutex_unlock(&mutex)

ssize_t write(int fd, const void *bytes, size_t length) {
    typedef ssize_t (*type)(int, const void *, size_t);
    REAL(write, type);
    char buffer[PATH_MAX];
    LOCK;
    int is_ours = fd != 1 && path_of(fd, buffer) != NULL;
    off_t offset = is_ours ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = real(fd, bytes, length);
    if (done > 0 && fd == 1) record(SAID, 0, 0, NULL, NULL, bytes, done);
    if (done > 0 && is_ours) record(WRITE, inode(fd), offset, NULL, NULL, bytes, done);
    UNLOCK;
    return done;
}

#define PWRITE(name)                                                                                        \
    ssize_t name(int fd, const void *bytes, size_t length, off64_t offset) {                                \
        typedef ssize_t (*type)(int, const void *, size_t, off64_t);                                        \
        REAL(name, type);                                                                                   \
        char buffer[PATH_MAX];                                                                              \
        LOCK;                                                                                               \
        ssize_t done = real(fd, bytes, length, offset);                                                     \
        if (done > 0 && path_of(fd, buffer)) record(WRITE, inode(fd), offset, NULL, NULL, bytes, done);     \
        UNLOCK;                                                                                             \
        return done;                                                                                        \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

// So that all is written by the calls above.
ssize_t writev(int fd, const struct iovec *parts, int number) {
    for (int part = 0; part < number; part++)
        if (parts[part].iov_len) return write(fd, parts[part].iov_base, parts[part].iov_len);
    return 0;
}
ssize_t copy_file_range(int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f) { errno = ENOSYS; return -1; }
ssize_t sendfile(int a, int b, off_t *c, size_t d) { errno = EINVAL; return -1; }
ssize_t sendfile64(int a, int b, off64_t *c, size_t d) { errno = EINVAL; return -1; }

#define RESIZE(name)                                                                                        \
    int name(int fd, off64_t length) {                                                                      \
        typedef int (*type)(int, off64_t);                                                                  \
        REAL(name, type);                                                                                   \
        char buffer[PATH_MAX];                                                                              \
        LOCK;                                                                                               \
        int done = real(fd, length);                                                                        \
        if (done == 0 && path_of(fd, buffer)) record(TRUNCATE, inode(fd), length, NULL, NULL, NULL, 0);     \
        UNLOCK;                                                                                             \
        return done;                                                                                        \
    }
RESIZE(ftruncate)
RESIZE(ftruncate64)

#define SYNCING(name)                                                                                       \
    int name(int fd) {                                                                                      \
        typedef int (*type)(int);                                                                           \
        REAL(name, type);                                                                                   \
        char buffer[PATH_MAX];                                                                              \
        struct stat stat;                                                                                   \
        LOCK;                                                                                               \
        const char *path = path_of(fd, buffer);                                                             \
        int is_folder = path && fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode);                             \
        int done = real(fd);                                                                                \
        if (done == 0 && path) record(is_folder ? SYNC_FOLDER : SYNC, inode(fd), 0, path, NULL, NULL, 0);   \
        UNLOCK;                                                                                             \
        return done;                                                                                        \
    }
SYNCING(fsync)
SYNCING(fdatasync)

#define ON_PATHS(name, kind, from, to, declared, passed)                                                    \
    int name declared {                                                                                     \
        typedef int(*type) declared;                                                                        \
        REAL(name, type);                                                                                   \
        char first[PATH_MAX], second[PATH_MAX];                                                             \
        LOCK;                                                                                               \
        const char *a = below(from, first), *b = below(to, second);                                         \
        int done = real passed;                                                                             \
        if (done == 0 && (a || b)) record(kind, 0, 0, a, b, NULL, 0);                                       \
        UNLOCK;                                                                                             \
        return done;                                                                                        \
    }
ON_PATHS(rename, RENAME, x, y, (const char *x, const char *y), (x, y))
ON_PATHS(link, LINK, x, y, (const char *x, const char *y), (x, y))
ON_PATHS(linkat, LINK, x, y, (int c, const char *x, int d, const char *y, int e), (c, x, d, y, e))
ON_PATHS(unlink, UNLINK, x, NULL, (const char *x), (x))
ON_PATHS(rmdir, RMDIR, x, NULL, (const char *x), (x))
ON_PATHS(mkdir, MKDIR, x, NULL, (const char *x, mode_t mode), (x, mode))

// Removing a folder and all in it uses paths below an open folder.
int unlinkat(int folder, const char *name, int flags) {
    typedef int (*type)(int, const char *, int);
    REAL(unlinkat, type);
    char buffer[PATH_MAX], path[2 * PATH_MAX];
    LOCK;
    const char *at = folder == AT_FDCWD ? "" : path_of(folder, buffer);
    if (at && folder != AT_FDCWD) snprintf(path, sizeof path, "%s/%s", at, name);
    int done = real(folder, name, flags);
    const char *absolute = folder == AT_FDCWD ? below(name, buffer) : at ? path : NULL;
    if (done == 0 && absolute) record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, absolute, NULL, NULL, 0);
    UNLOCK;
    return done;
}

#define OPEN(name)                                                                                          \
    int name(const char *path, int flags, ...) {                                                            \
        typedef int (*type)(const char *, int, ...);                                                        \
        REAL(name, type);                                                                                   \
        va_list arguments;                                                                                  \
        va_start(arguments, flags);                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;                                      \
        va_end(arguments);                                                                                  \
        char buffer[PATH_MAX];                                                                              \
        struct stat before;                                                                                 \
        LOCK;                                                                                               \
        const char *ours = flags & (O_CREAT | O_TRUNC) ? below(path, buffer) : NULL;                        \
        int is_there = ours && stat(path, &before) == 0;                                                    \
        int fd = real(path, flags, mode);                                                                   \
        if (fd >= 0 && ours && !is_there) record(CREATE, inode(fd), 0, ours, NULL, NULL, 0);                \
        if (fd >= 0 && ours && is_there && flags & O_TRUNC) record(TRUNCATE, inode(fd), 0, NULL, NULL, NULL, 0); \
        UNLOCK;                                                                                             \
        return fd;                                                                                          \
    }
OPEN(open)
OPEN(open64)
