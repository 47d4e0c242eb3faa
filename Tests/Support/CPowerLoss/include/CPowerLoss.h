// A SQLite VFS between SQLite and the operating system. Of the directories that are watched it keeps a record, so that
// a test can make the files that a power loss at any point might have left, and it can make their disk fail. All other
// files it leaves to the operating system's own VFS, untouched: other tests of the same process do not notice it.
#ifndef BATON_CPOWERLOSS_H
#define BATON_CPOWERLOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What was asked of the file system, in the order it was asked.
enum powerloss_kind {
  POWERLOSS_WRITE = 1,
  POWERLOSS_TRUNCATE = 2,
  POWERLOSS_SYNC = 3,
  POWERLOSS_DELETE = 4,
  /// A sync that failed: what was written before it may never reach the disk, whatever is synced later.
  POWERLOSS_SYNC_FAILED = 5,
};

/// What can be made to fail.
enum powerloss_operation {
  POWERLOSS_READS = 0,
  POWERLOSS_WRITES = 1,
  POWERLOSS_SYNCS = 2,
  /// Making the shared memory of the write-ahead log larger.
  POWERLOSS_MAPS = 3,
  /// Beginning a statement in a transaction, on a connection that may write. A commit takes no notice of it.
  POWERLOSS_STATEMENTS = 4,
};

typedef struct {
  enum powerloss_kind kind;
  /// Index of the file among those named so far: `powerloss_path`.
  int file;
  int64_t offset;
  /// For a write: the bytes, which live as long as the record. For a truncation `offset` is the new size.
  const unsigned char *bytes;
  size_t length;
} powerloss_entry;

/// One watched directory.
typedef struct powerloss_disk powerloss_disk;

/// Watches every file that is opened below `directory` (a full path) from now on.
powerloss_disk *powerloss_watch(const char *directory);

/// Ends it; every database in the directory must be closed.
void powerloss_unwatch(powerloss_disk *disk);

/// Writes are recorded only while this is on, as it is at first; failures happen either way.
void powerloss_set_recording(powerloss_disk *disk, bool on);

/// How many entries there are; entries before it never change.
size_t powerloss_count(powerloss_disk *disk);
powerloss_entry powerloss_entry_at(powerloss_disk *disk, size_t index);

/// How many files were named, and the full path of each.
int powerloss_file_count(powerloss_disk *disk);
const char *powerloss_path(powerloss_disk *disk, int file);

/// Lets the n-th following operation (1 is the next) and the `times - 1` after it fail with this SQLite code; `nth` 0
/// heals. A write that fails leaves the first half of its bytes.
void powerloss_fail(
    powerloss_disk *disk, enum powerloss_operation operation, int64_t nth, int64_t times, int code);

/// At the n-th following operation the process that has the files open dies, as if by kill -9: a write leaves its first
/// half, and nothing that is open now reaches the files any more, not even by closing them. What is opened afterwards
/// belongs to the next process.
void powerloss_crash(powerloss_disk *disk, enum powerloss_operation operation, int64_t nth);

/// The same, now.
void powerloss_kill(powerloss_disk *disk);

/// Whether `powerloss_crash` has struck since the last `powerloss_kill`.
bool powerloss_has_crashed(powerloss_disk *disk);

/// How many operations of this kind there were, failed ones included.
int64_t powerloss_operations(powerloss_disk *disk, enum powerloss_operation operation);

/// How many of them failed because they were told to.
int64_t powerloss_failures(powerloss_disk *disk, enum powerloss_operation operation);

#endif
