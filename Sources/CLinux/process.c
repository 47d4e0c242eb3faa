#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int clinux_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

// Between fork and exec: async-signal-safe calls only.
static void become(char *const *arguments, char *const *environment, int input, int death_signal, pid_t parent,
                   int report) {
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    if (setpgid(0, 0) == -1 || prctl(PR_SET_PDEATHSIG, death_signal) == -1) goto failed;
    // The parent may have ended before the line above: then nobody would tell us.
    if (getppid() != parent) _exit(128 + death_signal);
    if (input != -1 && dup2(input, STDIN_FILENO) == -1) goto failed;
    // Best effort: every descriptor of Baton's is close-on-exec already, this covers inherited ones.
    syscall(SYS_close_range, 3, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvpe(arguments[0], arguments, environment);
failed:;
    int failure = errno;
    ssize_t ignored = write(report, &failure, sizeof failure);
    (void)ignored;
    _exit(127);
}

pid_t clinux_spawn(char *const *arguments, char *const *environment, int input, int death_signal) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) == -1) return -1;
    // An inherited SIG_IGN would reap the child at once, and its status would be lost.
    signal(SIGCHLD, SIG_DFL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) become(arguments, environment, input, death_signal, parent, report[1]);
    int failure = child == -1 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (child != -1) {
        ssize_t count;
        do count = read(report[0], &failure, sizeof failure);
        while (count == -1 && errno == EINTR);
        if (count != sizeof failure) failure = 0;
        if (failure != 0)
            while (waitpid(child, NULL, 0) == -1 && errno == EINTR) continue;
    }
    close(report[0]);
    if (failure == 0) return child;
    errno = failure;
    return -1;
}

int clinux_input(const void *bytes, size_t count) {
    int input = memfd_create("input", MFD_CLOEXEC);
    if (input == -1) return -1;
    size_t written = 0;
    while (written < count) {
        ssize_t more = write(input, (const char *)bytes + written, count - written);
        if (more > 0) {
            written += (size_t)more;
        } else if (errno != EINTR) {
            int failure = errno;
            close(input);
            errno = failure;
            return -1;
        }
    }
    if (lseek(input, 0, SEEK_SET) == 0) return input;
    close(input);
    return -1;
}

pid_t clinux_reap(pid_t pid, int *code, int *signal) {
    int status = 0;
    pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended <= 0) return ended;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return ended;
}
