// Counts the operations of a process on files below SHIM_DIR, and lets the SHIM_AT-th of them fail.
//
// SHIM_MODE: kill (the process dies before it), error (SHIM_ERRNO), short (half of a write is done, then the process dies),
// SHIM_FOREVER: every later operation that writes fails as well, as on a full or dead disk. SHIM_COUNT: the file to which the
// number of operations is written. Loaded with LD_PRELOAD; Rust's standard library and sled call these symbols.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long count = 0;

static int is_below(const char *path) {
    const char *folder = getenv("SHIM_DIR");
    char absolute[PATH_MAX];
    if (!folder || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(absolute, sizeof absolute)) return 0;
        size_t length = strlen(absolute);
        snprintf(absolute + length, sizeof absolute - length, "/%s", path);
        path = absolute;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_of(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static void report(void) {
    const char *file = getenv("SHIM_COUNT");
    if (!file) return;
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", count);
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    ssize_t (*real_write)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    int fd = real_open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0 && real_write(fd, text, length) >= 0) close(fd);
}

__attribute__((destructor)) static void at_end(void) { report(); }

enum { GO, FAIL, HALF };

// Counts an operation and says what is to become of it.
static int next(int writes) {
    const char *at = getenv("SHIM_AT"), *mode = getenv("SHIM_MODE");
    pthread_mutex_lock(&mutex);
    long number = ++count;
    pthread_mutex_unlock(&mutex);
    if (!at || !mode) return GO;
    long wanted = atol(at);
    int is_later = getenv("SHIM_FOREVER") && number > wanted && writes;
    if (number != wanted && !is_later) return GO;
    if (strcmp(mode, "kill") == 0) kill(getpid(), SIGKILL);
    if (strcmp(mode, "short") == 0) return HALF;
    const char *code = getenv("SHIM_ERRNO");
    errno = code ? atoi(code) : EIO;
    return FAIL;
}

static void die(void) { kill(getpid(), SIGKILL); }

#define REAL(name, type) static type real = NULL; if (!real) real = (type)dlsym(RTLD_NEXT, #name)

#define WRITE(name, offset_type, ...)                                                                       \
    ssize_t name(int fd, const void *bytes, size_t length __VA_OPT__(, offset_type offset)) {               \
        typedef ssize_t (*type)(int, const void *, size_t __VA_OPT__(, offset_type));                       \
        REAL(name, type);                                                                                   \
        if (!is_of(fd)) return real(fd, bytes, length __VA_OPT__(, offset));                                \
        switch (next(1)) {                                                                                  \
        case FAIL: return -1;                                                                               \
        case HALF: real(fd, bytes, length / 2 __VA_OPT__(, offset)); die();                                 \
        default: return real(fd, bytes, length __VA_OPT__(, offset));                                       \
        }                                                                                                   \
    }
WRITE(write, int)
WRITE(pwrite, off_t, x)
WRITE(pwrite64, off64_t, x)

ssize_t writev(int fd, const struct iovec *parts, int number) {
    typedef ssize_t (*type)(int, const struct iovec *, int);
    REAL(writev, type);
    if (is_of(fd)) switch (next(1)) {
        case FAIL: return -1;
        case HALF: real(fd, parts, 1); die();
    }
    return real(fd, parts, number);
}

// So that copies are made of reads and writes, which are counted.
ssize_t copy_file_range(int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f) { errno = ENOSYS; return -1; }
ssize_t sendfile(int a, int b, off_t *c, size_t d) { errno = EINVAL; return -1; }
ssize_t sendfile64(int a, int b, off64_t *c, size_t d) { errno = EINVAL; return -1; }

#define ON_FD(name, writes, declared, passed)                                                               \
    int name declared {                                                                                     \
        typedef int(*type) declared;                                                                        \
        REAL(name, type);                                                                                   \
        if (is_of(fd)) switch (next(writes)) {                                                              \
            case FAIL: return -1;                                                                           \
            case HALF: die();                                                                               \
        }                                                                                                   \
        return real passed;                                                                                 \
    }
ON_FD(fsync, 1, (int fd), (fd))
ON_FD(fdatasync, 1, (int fd), (fd))
ON_FD(ftruncate, 1, (int fd, off_t length), (fd, length))
ON_FD(ftruncate64, 1, (int fd, off64_t length), (fd, length))
ON_FD(sync_file_range, 1, (int fd, off64_t a, off64_t b, unsigned c), (fd, a, b, c))

#define ON_PATH(name, path, declared, passed)                                                               \
    int name declared {                                                                                     \
        typedef int(*type) declared;                                                                        \
        REAL(name, type);                                                                                   \
        if (is_below(path)) switch (next(1)) {                                                              \
            case FAIL: return -1;                                                                           \
            case HALF: die();                                                                               \
        }                                                                                                   \
        return real passed;                                                                                 \
    }
ON_PATH(rename, a, (const char *a, const char *b), (a, b))
ON_PATH(link, b, (const char *a, const char *b), (a, b))
ON_PATH(linkat, b, (int c, const char *a, int d, const char *b, int e), (c, a, d, b, e))
ON_PATH(unlink, a, (const char *a), (a))
ON_PATH(unlinkat, a, (int d, const char *a, int e), (d, a, e))
ON_PATH(rmdir, a, (const char *a), (a))
ON_PATH(mkdir, a, (const char *a, mode_t mode), (a, mode))

#define OPEN(name)                                                                                          \
    int name(const char *path, int flags, ...) {                                                            \
        typedef int (*type)(const char *, int, ...);                                                        \
        REAL(name, type);                                                                                   \
        va_list arguments;                                                                                  \
        va_start(arguments, flags);                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;                                      \
        va_end(arguments);                                                                                  \
        if (flags & (O_CREAT | O_TRUNC) && is_below(path)) switch (next(1)) {                               \
            case FAIL: return -1;                                                                           \
            case HALF: die();                                                                               \
        }                                                                                                   \
        return real(path, flags, mode);                                                                     \
    }
OPEN(open)
OPEN(open64)
