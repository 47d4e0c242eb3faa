#include "CPowerLoss.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS = 5 };

// In place of a SQLite code: the process dies of it.
enum { DEATH = -1 };

typedef struct listener listener;

struct powerloss_disk {
  powerloss_disk *next;
  char *directory;
  bool is_recording;
  // Counts the processes that have had the disk: what an earlier one has open is dead.
  int life;
  bool has_crashed;
  listener *listeners;
  powerloss_entry *entries;
  size_t entry_count, entry_capacity;
  char **paths;
  int path_count, path_capacity;
  struct {
    int64_t until, times, count, failed;
    int code;
  } operations[OPERATIONS];
};

// One lock over all disks: the writer and the readers of a store may be on different threads.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static powerloss_disk *disks;
static sqlite3_vfs *below;
static sqlite3_vfs vfs;

// Our file object is followed in memory by the one of the VFS below.
typedef struct {
  sqlite3_file base;
  powerloss_disk *disk;
  int file;
  int life;
  sqlite3_file *real;
} powerloss_file;

// Who hears of a connection's statements; it lives as long as its disk.
struct listener {
  powerloss_disk *disk;
  int life;
  listener *next;
};

static powerloss_file *ours(sqlite3_file *file) { return (powerloss_file *)file; }
static sqlite3_file *real(sqlite3_file *file) { return ours(file)->real; }

static void *checked(void *memory) {
  if (!memory) abort();
  return memory;
}

static powerloss_disk *disk_of(const char *path) {
  if (!path) return NULL;
  for (powerloss_disk *disk = disks; disk; disk = disk->next) {
    size_t length = strlen(disk->directory);
    if (strncmp(path, disk->directory, length) == 0 && path[length] == '/') return disk;
  }
  return NULL;
}

static int path_index(powerloss_disk *disk, const char *path) {
  for (int i = 0; i < disk->path_count; i++) {
    if (strcmp(disk->paths[i], path) == 0) return i;
  }
  if (disk->path_count == disk->path_capacity) {
    disk->path_capacity = disk->path_capacity ? 2 * disk->path_capacity : 8;
    disk->paths = checked(realloc(disk->paths, (size_t)disk->path_capacity * sizeof *disk->paths));
  }
  disk->paths[disk->path_count] = checked(strdup(path));
  return disk->path_count++;
}

static void record(
    powerloss_disk *disk, enum powerloss_kind kind, int file, int64_t offset, const void *bytes, size_t length) {
  if (!disk->is_recording) return;
  if (disk->entry_count == disk->entry_capacity) {
    disk->entry_capacity = disk->entry_capacity ? 2 * disk->entry_capacity : 1024;
    disk->entries = checked(realloc(disk->entries, disk->entry_capacity * sizeof *disk->entries));
  }
  unsigned char *copy = NULL;
  if (length > 0) {
    copy = checked(malloc(length));
    memcpy(copy, bytes, length);
  }
  disk->entries[disk->entry_count++] = (powerloss_entry){kind, file, offset, copy, length};
}

// Whether this operation must fail: counts down to the first that does, then those that do.
static int failure(powerloss_disk *disk, enum powerloss_operation operation) {
  disk->operations[operation].count++;
  if (disk->operations[operation].until == 0) return SQLITE_OK;
  if (disk->operations[operation].until > 1) {
    disk->operations[operation].until--;
    return SQLITE_OK;
  }
  if (--disk->operations[operation].times == 0) disk->operations[operation].until = 0;
  disk->operations[operation].failed++;
  if (disk->operations[operation].code != DEATH) return disk->operations[operation].code;
  disk->life++;
  disk->has_crashed = true;
  return SQLITE_IOERR;
}

// With the lock held: of a dead process everything fails.
static int file_failure(sqlite3_file *file, enum powerloss_operation operation) {
  return ours(file)->life == ours(file)->disk->life ? failure(ours(file)->disk, operation) : SQLITE_IOERR;
}

static int failure_now(sqlite3_file *file, enum powerloss_operation operation) {
  pthread_mutex_lock(&lock);
  int code = file_failure(file, operation);
  pthread_mutex_unlock(&lock);
  return code;
}

static bool is_dead(sqlite3_file *file) {
  pthread_mutex_lock(&lock);
  bool is_dead = ours(file)->life != ours(file)->disk->life;
  pthread_mutex_unlock(&lock);
  return is_dead;
}

static int file_close(sqlite3_file *file) { return real(file)->pMethods->xClose(real(file)); }

static int file_read(sqlite3_file *file, void *buffer, int amount, sqlite3_int64 offset) {
  int code = failure_now(file, POWERLOSS_READS);
  return code == SQLITE_OK ? real(file)->pMethods->xRead(real(file), buffer, amount, offset) : code;
}

static int file_write(sqlite3_file *file, const void *buffer, int amount, sqlite3_int64 offset) {
  pthread_mutex_lock(&lock);
  powerloss_disk *disk = ours(file)->disk;
  if (ours(file)->life != disk->life) {
    pthread_mutex_unlock(&lock);
    return SQLITE_IOERR;
  }
  int failed = failure(disk, POWERLOSS_WRITES);
  int written = failed == SQLITE_OK ? amount : amount / 2;
  int code = real(file)->pMethods->xWrite(real(file), buffer, written, offset);
  if (code == SQLITE_OK) {
    record(disk, POWERLOSS_WRITE, ours(file)->file, offset, buffer, (size_t)written);
  }
  pthread_mutex_unlock(&lock);
  return failed == SQLITE_OK ? code : failed;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
  if (is_dead(file)) return SQLITE_IOERR;
  pthread_mutex_lock(&lock);
  int code = real(file)->pMethods->xTruncate(real(file), size);
  if (code == SQLITE_OK) record(ours(file)->disk, POWERLOSS_TRUNCATE, ours(file)->file, size, NULL, 0);
  pthread_mutex_unlock(&lock);
  return code;
}

static int file_sync(sqlite3_file *file, int flags) {
  (void)flags;
  pthread_mutex_lock(&lock);
  powerloss_disk *disk = ours(file)->disk;
  int code = file_failure(file, POWERLOSS_SYNCS);
  // The images are made from the record, so the real sync would only cost time.
  record(disk, code == SQLITE_OK ? POWERLOSS_SYNC : POWERLOSS_SYNC_FAILED, ours(file)->file, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return code;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
  return real(file)->pMethods->xFileSize(real(file), size);
}
// The dead do not move their log into the file, nor remove it, as one does that closes a database alone.
static int file_lock(sqlite3_file *file, int level) {
  if (level == SQLITE_LOCK_EXCLUSIVE && is_dead(file)) return SQLITE_BUSY;
  return real(file)->pMethods->xLock(real(file), level);
}
static int file_unlock(sqlite3_file *file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
static int file_check_reserved(sqlite3_file *file, int *result) {
  return real(file)->pMethods->xCheckReservedLock(real(file), result);
}
static int file_control(sqlite3_file *file, int op, void *argument) {
  return real(file)->pMethods->xFileControl(real(file), op, argument);
}
static int file_sector_size(sqlite3_file *file) { return real(file)->pMethods->xSectorSize(real(file)); }
static int file_characteristics(sqlite3_file *file) {
  return real(file)->pMethods->xDeviceCharacteristics(real(file));
}
static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory) {
  int code = failure_now(file, POWERLOSS_MAPS);
  if (code != SQLITE_OK) {
    *memory = NULL;
    return code;
  }
  return real(file)->pMethods->xShmMap(real(file), page, size, extend, memory);
}
static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
  return real(file)->pMethods->xShmLock(real(file), offset, count, flags);
}
static void file_shm_barrier(sqlite3_file *file) { real(file)->pMethods->xShmBarrier(real(file)); }
static int file_shm_unmap(sqlite3_file *file, int delete) {
  return real(file)->pMethods->xShmUnmap(real(file), delete);
}

// Version 2: shared memory for the write-ahead log, no memory mapping of the database.
static const sqlite3_io_methods methods = {
    2,
    file_close,
    file_read,
    file_write,
    file_truncate,
    file_sync,
    file_size,
    file_lock,
    file_unlock,
    file_check_reserved,
    file_control,
    file_sector_size,
    file_characteristics,
    file_shm_map,
    file_shm_lock,
    file_shm_barrier,
    file_shm_unmap,
    NULL,
    NULL,
};

static int vfs_open(sqlite3_vfs *self, const char *path, sqlite3_file *file, int flags, int *out) {
  (void)self;
  pthread_mutex_lock(&lock);
  powerloss_disk *disk = disk_of(path);
  int index = disk ? path_index(disk, path) : 0;
  pthread_mutex_unlock(&lock);
  if (!disk) return below->xOpen(below, path, file, flags, out);
  ours(file)->base.pMethods = NULL;
  ours(file)->disk = disk;
  ours(file)->file = index;
  ours(file)->life = disk->life;
  ours(file)->real = (sqlite3_file *)(ours(file) + 1);
  int code = below->xOpen(below, path, real(file), flags, out);
  if (code == SQLITE_OK) ours(file)->base.pMethods = &methods;
  return code;
}

static int vfs_delete(sqlite3_vfs *self, const char *path, int sync_directory) {
  (void)self;
  pthread_mutex_lock(&lock);
  powerloss_disk *disk = disk_of(path);
  int code = below->xDelete(below, path, sync_directory);
  if (code == SQLITE_OK && disk) record(disk, POWERLOSS_DELETE, path_index(disk, path), 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return code;
}

static int statement_begins(unsigned event, void *context, void *statement, void *text) {
  (void)event;
  // A trigger's statement is part of another, and nothing keeps a transaction from being rolled back.
  if (strncmp(text, "--", 2) == 0 || strcmp(text, "ROLLBACK") == 0) return 0;
  if (sqlite3_get_autocommit(sqlite3_db_handle(statement))) return 0;
  listener *self = context;
  pthread_mutex_lock(&lock);
  bool is_over = self->life != self->disk->life || failure(self->disk, POWERLOSS_STATEMENTS) != SQLITE_OK;
  pthread_mutex_unlock(&lock);
  // It ends at its next step; a commit has none, and succeeds.
  if (is_over) sqlite3_interrupt(sqlite3_db_handle(statement));
  return 0;
}

// Of every connection that is opened: those that write on a disk of ours are listened to.
static int connection_opened(sqlite3 *connection, char **message, const void *routines) {
  (void)message;
  (void)routines;
  pthread_mutex_lock(&lock);
  powerloss_disk *disk = disk_of(sqlite3_db_filename(connection, "main"));
  if (disk && sqlite3_db_readonly(connection, "main") == 0) {
    listener *new = checked(calloc(1, sizeof *new));
    *new = (listener){disk, disk->life, disk->listeners};
    disk->listeners = new;
    sqlite3_trace_v2(connection, SQLITE_TRACE_STMT, statement_begins, new);
  }
  pthread_mutex_unlock(&lock);
  return SQLITE_OK;
}

static void install(void) {
  below = checked(sqlite3_vfs_find("unix"));
  vfs = *below;
  vfs.pNext = NULL;
  vfs.zName = "powerloss";
  vfs.szOsFile = (int)sizeof(powerloss_file) + below->szOsFile;
  vfs.xOpen = vfs_open;
  vfs.xDelete = vfs_delete;
  if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK) abort();
  if (sqlite3_auto_extension((void (*)(void))connection_opened) != SQLITE_OK) abort();
}

powerloss_disk *powerloss_watch(const char *directory) {
  static pthread_once_t installed = PTHREAD_ONCE_INIT;
  pthread_once(&installed, install);
  powerloss_disk *disk = checked(calloc(1, sizeof *disk));
  disk->directory = checked(strdup(directory));
  disk->is_recording = true;
  pthread_mutex_lock(&lock);
  disk->next = disks;
  disks = disk;
  pthread_mutex_unlock(&lock);
  return disk;
}

void powerloss_unwatch(powerloss_disk *disk) {
  pthread_mutex_lock(&lock);
  for (powerloss_disk **link = &disks; *link; link = &(*link)->next) {
    if (*link != disk) continue;
    *link = disk->next;
    break;
  }
  pthread_mutex_unlock(&lock);
  for (size_t i = 0; i < disk->entry_count; i++) free((void *)disk->entries[i].bytes);
  for (int i = 0; i < disk->path_count; i++) free(disk->paths[i]);
  for (listener *next, *each = disk->listeners; each; each = next) {
    next = each->next;
    free(each);
  }
  free(disk->entries);
  free(disk->paths);
  free(disk->directory);
  free(disk);
}

void powerloss_set_recording(powerloss_disk *disk, bool on) {
  pthread_mutex_lock(&lock);
  disk->is_recording = on;
  pthread_mutex_unlock(&lock);
}

size_t powerloss_count(powerloss_disk *disk) {
  pthread_mutex_lock(&lock);
  size_t count = disk->entry_count;
  pthread_mutex_unlock(&lock);
  return count;
}

powerloss_entry powerloss_entry_at(powerloss_disk *disk, size_t index) {
  pthread_mutex_lock(&lock);
  if (index >= disk->entry_count) abort();
  powerloss_entry entry = disk->entries[index];
  pthread_mutex_unlock(&lock);
  return entry;
}

int powerloss_file_count(powerloss_disk *disk) {
  pthread_mutex_lock(&lock);
  int count = disk->path_count;
  pthread_mutex_unlock(&lock);
  return count;
}

const char *powerloss_path(powerloss_disk *disk, int file) {
  pthread_mutex_lock(&lock);
  const char *path = disk->paths[file];
  pthread_mutex_unlock(&lock);
  return path;
}

void powerloss_fail(
    powerloss_disk *disk, enum powerloss_operation operation, int64_t nth, int64_t times, int code) {
  pthread_mutex_lock(&lock);
  disk->operations[operation].until = nth;
  disk->operations[operation].times = times;
  disk->operations[operation].code = code;
  pthread_mutex_unlock(&lock);
}

void powerloss_crash(powerloss_disk *disk, enum powerloss_operation operation, int64_t nth) {
  powerloss_fail(disk, operation, nth, 1, DEATH);
}

void powerloss_kill(powerloss_disk *disk) {
  pthread_mutex_lock(&lock);
  disk->life++;
  disk->has_crashed = false;
  pthread_mutex_unlock(&lock);
}

bool powerloss_has_crashed(powerloss_disk *disk) {
  pthread_mutex_lock(&lock);
  bool has_crashed = disk->has_crashed;
  pthread_mutex_unlock(&lock);
  return has_crashed;
}

int64_t powerloss_operations(powerloss_disk *disk, enum powerloss_operation operation) {
  pthread_mutex_lock(&lock);
  int64_t count = disk->operations[operation].count;
  pthread_mutex_unlock(&lock);
  return count;
}

int64_t powerloss_failures(powerloss_disk *disk, enum powerloss_operation operation) {
  pthread_mutex_lock(&lock);
  int64_t count = disk->operations[operation].failed;
  pthread_mutex_unlock(&lock);
  return count;
}
