// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// Run a command and stop it, and all that it starts, before each system call that may change a file system.
// Usage: stop-at-writes TELL ASK DIRECTORY COMMAND...
//   TELL, ASK   numbers of open files: a line is written to TELL for each stop, then a byte read from ASK
//   DIRECTORY   writes to open files count on the file system of this directory only
// At a stop no process of the command runs: each halts at its next system call at the latest, whatever that is.
// What still runs when the command has ended is let go.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int tell, ask;
static dev_t device;

static void fail(const char *what) {
    perror(what);
    exit(125);
}

static bool is_on_device(pid_t process, uint64_t file) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", process, (int)file);
    return stat(path, &status) == 0 && status.st_dev == device;
}

static void read_text(pid_t process, uint64_t address, char text[256]) {
    struct iovec here = {text, 255}, there = {(void *)address, 255};
    // Up to the end of the page first: what follows it may not be there.
    there.iov_len = 4096 - address % 4096 < 255 ? 4096 - address % 4096 : 255;
    ssize_t got = process_vm_readv(process, &here, 1, &there, 1, 0);
    if (got > 0 && memchr(text, 0, (size_t)got) == NULL && there.iov_len < 255) {
        struct iovec rest = {text + got, 255 - (size_t)got}, next = {(void *)(address + (uint64_t)got), 255 - (size_t)got};
        ssize_t more = process_vm_readv(process, &rest, 1, &next, 1, 0);
        got += more > 0 ? more : 0;
    }
    text[got > 0 ? got : 0] = 0;
}

// What the call would do to a file, or false: its name, and the path that it names, if any.
static bool is_writing(pid_t process, const struct __ptrace_syscall_info *info, const char **name, char path[256]) {
    const uint64_t *arguments = info->entry.args;
    int path_at = -1;
    path[0] = 0;
    switch (info->entry.nr) {
#define CALL(call, path_argument) case SYS_##call: *name = #call; path_at = path_argument; break
#define TO_FILE(call, argument) case SYS_##call: *name = #call; return is_on_device(process, arguments[argument])
        TO_FILE(write, 0);
        TO_FILE(pwrite64, 0);
        TO_FILE(writev, 0);
        TO_FILE(pwritev, 0);
        TO_FILE(pwritev2, 0);
        TO_FILE(sendfile, 0);
        TO_FILE(splice, 2);
        TO_FILE(copy_file_range, 2);
        TO_FILE(ftruncate, 0);
        TO_FILE(fallocate, 0);
        TO_FILE(fsync, 0);
        TO_FILE(fdatasync, 0);
        TO_FILE(syncfs, 0);
        CALL(sync, -1);
        CALL(renameat, 1);
        CALL(renameat2, 1);
        CALL(unlinkat, 1);
        CALL(mkdirat, 1);
        CALL(linkat, 1);
        CALL(symlinkat, 2);
        CALL(truncate, 0);
        CALL(mount, 1);
        CALL(umount2, 0);
#ifdef SYS_open // machines of today's design have only the calls above
        CALL(rename, 0);
        CALL(unlink, 0);
        CALL(mkdir, 0);
        CALL(rmdir, 0);
        CALL(link, 0);
        CALL(symlink, 1);
        CALL(creat, 0);
    case SYS_open:
        if (!(arguments[1] & (O_CREAT | O_TRUNC))) {
            return false;
        }
        *name = "open";
        path_at = 0;
        break;
#endif
    case SYS_openat:
        if (!(arguments[2] & (O_CREAT | O_TRUNC))) {
            return false;
        }
        *name = "open";
        path_at = 1;
        break;
    default:
        return false;
    }
    if (path_at >= 0) {
        read_text(process, arguments[path_at], path);
    }
    return strncmp(path, "/dev/", 5) != 0 && strncmp(path, "/proc/", 6) != 0;
}

static void stop(pid_t process, const char *name, const char *path) {
    char line[512], answer;
    int size = snprintf(line, sizeof line, "%s %s", name, path);
    for (int i = 0; i < size; i++) {
        line[i] = line[i] == '\n' ? ' ' : line[i];
    }
    line[size] = '\n';
    if (write(tell, line, (size_t)size + 1) < 0 || read(ask, &answer, 1) != 1) {
        kill(process, SIGKILL); // nobody is there any more
        exit(124);
    }
}

int main(int count, char **arguments) {
    struct stat status;
    if (count < 5) {
        return 2;
    }
    tell = atoi(arguments[1]);
    ask = atoi(arguments[2]);
    if (stat(arguments[3], &status) != 0) {
        fail(arguments[3]);
    }
    device = status.st_dev;
    pid_t command = fork();
    if (command == 0) {
        close(tell);
        close(ask);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        execvp(arguments[4], arguments + 4);
        fail(arguments[4]);
    }
    int code;
    waitpid(command, &code, 0);
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SETOPTIONS, command, NULL, options) != 0) {
        fail("ptrace");
    }
    ptrace(PTRACE_SYSCALL, command, NULL, 0L);
    for (;;) {
        pid_t process = waitpid(-1, &code, __WALL);
        if (process < 0) {
            fail("waitpid");
        }
        if (WIFEXITED(code) || WIFSIGNALED(code)) {
            if (process == command) {
                return WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
            }
            continue;
        }
        long signal_number = WSTOPSIG(code);
        if (signal_number == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info = {0};
            const char *name;
            char path[256];
            if (ptrace(PTRACE_GET_SYSCALL_INFO, process, sizeof info, &info) > 0 &&
                info.op == PTRACE_SYSCALL_INFO_ENTRY && is_writing(process, &info, &name, path)) {
                stop(process, name, path);
            }
            signal_number = 0;
        } else if (signal_number == SIGTRAP || signal_number == SIGSTOP) {
            signal_number = 0; // of the tracing itself: a new process, a new program
        }
        ptrace(PTRACE_SYSCALL, process, NULL, signal_number);
    }
}
