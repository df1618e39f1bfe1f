/* A disk that loses what was not synced, and one that refuses: preloaded before a program that a test kills.
 *
 * Of every file below POWERCUT_DIR only the bytes at its last fsync, fdatasync or msync count as on disk, and of every
 * folder only the entries at its own last fsync, renames and removals included. Each sync copies them to
 * POWERCUT_SHADOW, from which the test rebuilds the folder as it would be found after the cut.
 *
 *   POWERCUT_LIE=k:m      the k-th sync of a file and the m - 1 after it say that they are done, and are not
 *   POWERCUT_FAULT=e:n:m:p  writes n to n + m - 1 fail with errno e, and again every p writes (p = 0: once)
 *   POWERCUT_ARMED=path   faults begin only once this file is there
 *
 * Nothing here is needed to be quick: a sync is a copy instead of a wait for a disk.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define MAPPINGS 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { void *at; size_t length; int fd; } mapped[MAPPINGS];
static long syncs, writes;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);

__attribute__((constructor)) static void begin(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
}

/* Say whether a descriptor is below the folder, and its path. */
static int watched(int fd, char *path) {
    const char *root = getenv("POWERCUT_DIR");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = root ? readlink(link, path, PATH_MAX - 1) : -1;
    if (length < 0) return 0;
    path[length] = 0;
    size_t size = strlen(root);
    return !strncmp(path, root, size) && (path[size] == '/' || !path[size]);
}

/* Name an inode: number and time of birth, since numbers are used again. */
static void name_of(int folder, const char *entry, int flags, char *name, size_t size) {
    struct statx found;
    memset(&found, 0, sizeof found);
    statx(folder, entry, flags | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME | STATX_MODE, &found);
    snprintf(name, size, "%c%llu-%lld-%u", S_ISDIR(found.stx_mode) ? 'd' : 'f', (unsigned long long)found.stx_ino,
             (long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
}

/* By the program's own descriptor: to open and close a file once more would drop the program's locks on it. */
static void copy_file(int in, const char *path, int out) {
    static char buffer[1 << 16];
    int own = (fcntl(in, F_GETFL) & O_ACCMODE) == O_WRONLY ? open(path, O_RDONLY) : in;
    ssize_t got;
    off_t at = 0;
    while ((got = pread(own, buffer, sizeof buffer, at)) > 0) at += real_write(out, buffer, got);
    if (own != in) close(own);
}

static void list_folder(const char *path, int out) {
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char name[96], line[NAME_MAX + 100];
        name_of(dirfd(folder), entry->d_name, 0, name, sizeof name);
        int length = snprintf(line, sizeof line, "%s %s\n", name, entry->d_name);
        real_write(out, line, length);
    }
    if (folder) closedir(folder);
}

/* Copy what is there now to the shadow; a copy is whole or not there. */
static void keep(int fd, const char *path) {
    char name[96], fresh[PATH_MAX + 128], kept[PATH_MAX + 128];
    const char *shadow = getenv("POWERCUT_SHADOW");
    name_of(fd, "", AT_EMPTY_PATH, name, sizeof name);
    int top = !strcmp(path, getenv("POWERCUT_DIR"));
    snprintf(fresh, sizeof fresh, "%s/fresh", shadow);
    snprintf(kept, sizeof kept, "%s/%s", shadow, top ? "root" : name);
    int out = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (name[0] == 'd') list_folder(path, out);
    else copy_file(fd, path, out);
    close(out);
    rename(fresh, kept);
}

static int armed(void) {
    static int yes;
    const char *path = getenv("POWERCUT_ARMED");
    if (!yes) yes = !path || !access(path, F_OK);
    return yes;
}

/* Return the errno that this write is to fail with; 0 for none. */
static int refused(int fd) {
    char path[PATH_MAX];
    int error = 0;
    long first = 0, span = 1, period = 0;
    const char *order = getenv("POWERCUT_FAULT");
    if (!order || !armed() || !watched(fd, path)) return 0;
    sscanf(order, "%d:%ld:%ld:%ld", &error, &first, &span, &period);
    pthread_mutex_lock(&lock);
    long after = ++writes - first;
    pthread_mutex_unlock(&lock);
    if (after >= 0 && period) after %= period;
    return after >= 0 && after < span ? error : 0;
}

static int lies(void) {
    long first = 0, span = 1;
    const char *order = getenv("POWERCUT_LIE");
    if (!order || !armed()) return 0;
    sscanf(order, "%ld:%ld", &first, &span);
    syncs++;
    return syncs >= first && syncs < first + span;
}

static int synced(int fd) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return 0;
    int error = refused(fd);
    if (error) return errno = error, -1;
    pthread_mutex_lock(&lock);
    struct stat found;
    fstat(fd, &found);
    if (S_ISDIR(found.st_mode) || !lies()) keep(fd, path);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return synced(fd); }

int fdatasync(int fd) { return synced(fd); }

ssize_t write(int fd, const void *octets, size_t size) {
    int error = refused(fd);
    return error ? (errno = error, -1) : real_write(fd, octets, size);
}

ssize_t pwrite64(int fd, const void *octets, size_t size, off64_t at) {
    int error = refused(fd);
    return error ? (errno = error, -1) : real_pwrite(fd, octets, size, at);
}

ssize_t pwrite(int fd, const void *octets, size_t size, off_t at) { return pwrite64(fd, octets, size, at); }

int ftruncate64(int fd, off64_t size) {
    int error = refused(fd);
    return error ? (errno = error, -1) : real_ftruncate(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

void *mmap64(void *where, size_t length, int guard, int flags, int fd, off64_t at) {
    static void *(*real)(void *, size_t, int, int, int, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "mmap64");
    void *found = real(where, length, guard, flags, fd, at);
    if (fd < 0 || found == MAP_FAILED || !(flags & MAP_SHARED) || !(guard & PROT_WRITE)) return found;
    pthread_mutex_lock(&lock);
    for (int n = 0; n < MAPPINGS; n++)
        if (!mapped[n].length) {
            mapped[n].at = found, mapped[n].length = length, mapped[n].fd = fd;
            break;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

int msync(void *where, size_t length, int flags) {
    static int (*real)(void *, size_t, int);
    if (!real) real = dlsym(RTLD_NEXT, "msync");
    for (int n = 0; n < MAPPINGS; n++)
        if (mapped[n].length && where >= mapped[n].at && (char *)where < (char *)mapped[n].at + mapped[n].length)
            return synced(mapped[n].fd);
    return real(where, length, flags);
}
