#ifndef BATON_CLINUX_H
#define BATON_CLINUX_H

// What Swift's Glibc module leaves out: Linux calls it has no header for, variadic functions and macros.
// Unless said otherwise each returns -1 with errno set on failure, as the call that it wraps.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The system's text for an error number; NULL for one it does not know.
const char *clinux_error_text(int code);

// epoll. `struct epoll_event` is packed on x86-64, which Swift handles badly, hence a plain copy of it.
struct clinux_event {
    uint64_t token;
    uint32_t events;
};
enum { CLINUX_READABLE = 0x1, CLINUX_WRITABLE = 0x4, CLINUX_ERROR = 0x8, CLINUX_HANGUP = 0x10,
       CLINUX_PEER_CLOSED = 0x2000 };
int clinux_epoll_create(void);
int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);
int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token);
int clinux_epoll_remove(int epoll, int fd);
// At most 256 events.
int clinux_epoll_wait(int epoll, struct clinux_event *events, int count, int timeout_milliseconds);

// Sockets.
int clinux_socket(int nonblocking);
int clinux_socket_pair(int nonblocking, int *first, int *second);
int clinux_bind(int fd, const char *path);
int clinux_connect(int fd, const char *path);
int clinux_accept(int fd);
ssize_t clinux_send(int fd, const void *bytes, size_t count);
enum { CLINUX_MAX_DESCRIPTORS = 253 };  // SCM_MAX_FD: what one message can carry at most.
// recvmsg. `descriptors` has room for CLINUX_MAX_DESCRIPTORS; `*descriptor_count` of them came along and are the
// caller's; `*truncated` says that more came than this process could take.
ssize_t clinux_receive(int fd, void *bytes, size_t count, int *descriptors, int *descriptor_count,
                       int *truncated);
int clinux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid);
// The number of groups, of which at most `capacity` are stored; -1 with ERANGE when they do not fit.
int clinux_peer_groups(int fd, gid_t *groups, int capacity);
int clinux_peer_pidfd(int fd);
int clinux_refuse_descriptors(int fd);

// Files.
int clinux_open(const char *path, int flags, mode_t mode);
int clinux_lock(int fd);
int clinux_set_nonblocking(int fd, int nonblocking);
int clinux_window_columns(int fd);

// Events, signals, threads.
int clinux_eventfd(void);
int clinux_signalfd(const int *signals, int count);
int clinux_signalfd_next(int fd);
int clinux_ignore_signal(int signal);
void clinux_name_thread(const char *name);
// Asks that the calling thread, scheduled as usual, runs for at most so long at a time and so comes sooner; 0 for what is
// usual. Kernels before 6.12 take no notice.
int clinux_set_slice(uint64_t nanoseconds);
// The slice of the calling thread; 0 where the kernel does not say.
int64_t clinux_slice(void);

// Processes.
int clinux_pidfd_open(pid_t pid);
int clinux_pidfd_send_signal(int pidfd, int signal);
// Starts `arguments[0]`, looked up in PATH, as the leader of a group of its own. The new process gets `death_signal` when the
// calling thread ends, has every signal unblocked and at its default, and keeps descriptors 0 to 2 alone; `input` becomes its
// standard input, unless it is -1. Returns its pid; -1 with the errno of the fork, or of the exec.
pid_t clinux_spawn(char *const *arguments, char *const *environment, int input, int death_signal);
// A descriptor from which these bytes are read, then the end. -1 with errno.
int clinux_input(const void *bytes, size_t count);
// 0 while the child runs; else its pid, with how it ended: by `*signal`, or where that is 0 with `*code`.
pid_t clinux_reap(pid_t pid, int *code, int *signal);

#endif
