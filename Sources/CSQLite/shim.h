// SQLite's own header, and the few things that Swift cannot import: variadic functions and
// the destructor constants that are casts.
#ifndef BATON_CSQLITE_SHIM_H
#define BATON_CSQLITE_SHIM_H

#include <sqlite3.h>

/// `sqlite3_db_config` is variadic; every option that Baton sets takes an int and gives one back.
static inline int baton_sqlite3_db_config_int(sqlite3 *db, int option, int value, int *result) {
  return sqlite3_db_config(db, option, value, result);
}

/// `SQLITE_TRANSIENT` is a cast of -1: SQLite copies the bytes before the call returns.
static inline int baton_sqlite3_bind_text_copy(
    sqlite3_stmt *statement, int index, const char *text, int length) {
  return sqlite3_bind_text(statement, index, text, length, SQLITE_TRANSIENT);
}

static inline int baton_sqlite3_bind_blob_copy(
    sqlite3_stmt *statement, int index, const void *bytes, int length) {
  return sqlite3_bind_blob(statement, index, bytes, length, SQLITE_TRANSIENT);
}

#endif
