#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// Newer than the headers of the oldest system that Baton builds on.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

_Static_assert(CLINUX_READABLE == EPOLLIN && CLINUX_WRITABLE == EPOLLOUT && CLINUX_ERROR == EPOLLERR
                   && CLINUX_HANGUP == EPOLLHUP && CLINUX_PEER_CLOSED == EPOLLRDHUP,
               "the header repeats epoll's bits");

const char *clinux_error_text(int code) { return strerrordesc_np(code); }

int clinux_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(epoll, operation, fd, &event);
}

int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_ADD, fd, events, token);
}

int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_MOD, fd, events, token);
}

int clinux_epoll_remove(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

int clinux_epoll_wait(int epoll, struct clinux_event *events, int count, int timeout_milliseconds) {
    struct epoll_event ready[256];
    int found = epoll_wait(epoll, ready, count < 256 ? count : 256, timeout_milliseconds);
    for (int i = 0; i < found; i++)
        events[i] = (struct clinux_event){.token = ready[i].data.u64, .events = ready[i].events};
    return found;
}

static int type_of(int nonblocking) { return SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0); }

int clinux_socket(int nonblocking) { return socket(AF_UNIX, type_of(nonblocking), 0); }

int clinux_socket_pair(int nonblocking, int *first, int *second) {
    int pair[2];
    if (socketpair(AF_UNIX, type_of(nonblocking), 0, pair) == -1) return -1;
    *first = pair[0];
    *second = pair[1];
    return 0;
}

static int address_of(const char *path, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address->sun_path, path);
    return 0;
}

int clinux_bind(int fd, const char *path) {
    struct sockaddr_un address;
    if (address_of(path, &address) == -1) return -1;
    return bind(fd, (struct sockaddr *)&address, sizeof address);
}

int clinux_connect(int fd, const char *path) {
    struct sockaddr_un address;
    if (address_of(path, &address) == -1) return -1;
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

int clinux_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

ssize_t clinux_send(int fd, const void *bytes, size_t count) { return send(fd, bytes, count, MSG_NOSIGNAL); }

ssize_t clinux_receive(int fd, void *bytes, size_t count, int *descriptors, int *descriptor_count,
                       int *truncated) {
    // A message carries at most SCM_MAX_FD descriptors: with room for all of them the kernel never has to close
    // one inside of this call, which takes as long as the sender wants (SO_LINGER).
    union {
        char bytes[CMSG_SPACE(CLINUX_MAX_DESCRIPTORS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr alignment;
    } storage;
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &storage, .msg_controllen = sizeof storage};
    *descriptor_count = 0;
    *truncated = 0;
    ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (received == -1) return -1;
    *truncated = (message.msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t found = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < found && *descriptor_count < CLINUX_MAX_DESCRIPTORS; i++)
            memcpy(&descriptors[(*descriptor_count)++], CMSG_DATA(header) + i * sizeof(int), sizeof(int));
    }
    return received;
}

int clinux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == -1) return -1;
    *pid = credentials.pid;
    *uid = credentials.uid;
    *gid = credentials.gid;
    return 0;
}

int clinux_peer_groups(int fd, gid_t *groups, int capacity) {
    socklen_t size = (socklen_t)capacity * sizeof(gid_t);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == -1) return -1;
    return (int)(size / sizeof(gid_t));
}

int clinux_peer_pidfd(int fd) {
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    return getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == -1 ? -1 : pidfd;
}

int clinux_refuse_descriptors(int fd) {
    int off = 0;
    return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off);
}

int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags | O_CLOEXEC, mode); }

int clinux_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB); }

int clinux_set_nonblocking(int fd, int nonblocking) {
    int flags = fcntl(fd, F_GETFL);
    if (flags == -1) return -1;
    return fcntl(fd, F_SETFL, nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

int clinux_window_columns(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == -1 ? -1 : size.ws_col;
}

int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int clinux_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++)
        if (sigaddset(&set, signals[i]) == -1) return -1;
    int failure = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (failure != 0) {
        errno = failure;
        return -1;
    }
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int clinux_signalfd_next(int fd) {
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == -1 ? -1 : (int)info.ssi_signo;
}

int clinux_ignore_signal(int number) { return signal(number, SIG_IGN) == SIG_ERR ? -1 : 0; }

void clinux_name_thread(const char *name) {
    char shortened[16] = {0};  // The kernel keeps 15 bytes and refuses more.
    strncpy(shortened, name, sizeof shortened - 1);
    pthread_setname_np(pthread_self(), shortened);
}

// As <linux/sched/types.h> has it, which some versions of the C library define a second time.
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static int attributes_of_thread(struct attributes *attributes) {
    return syscall(SYS_sched_getattr, 0, attributes, sizeof *attributes, 0) == -1 ? -1 : 0;
}

int clinux_set_slice(uint64_t nanoseconds) {
    struct attributes attributes;
    if (attributes_of_thread(&attributes) == -1) return -1;
    attributes.size = sizeof attributes;
    attributes.runtime = nanoseconds;
    return syscall(SYS_sched_setattr, 0, &attributes, 0) == -1 ? -1 : 0;
}

int64_t clinux_slice(void) {
    struct attributes attributes;
    return attributes_of_thread(&attributes) == -1 ? -1 : (int64_t)attributes.runtime;
}
