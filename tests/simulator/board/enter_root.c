// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// The part of a board's boot that mounts its file systems and runs its first process. For a mount namespace of its own.
// Usage: enter-root ROOT SYSTEM LAB     (see boot)
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void bind_read_only(const char *source, const char *target) {
    check(mount(source, target, NULL, MS_BIND, NULL), target);
    check(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), target);
}

static void make_devices(void) {
    static const struct {
        const char *path;
        unsigned major, minor;
    } devices[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
                   {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
    check(mount("dev", "dev", "tmpfs", MS_NOSUID, "mode=755,size=1m"), "dev");
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        check(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)), devices[i].path);
    }
    check(mkdir("dev/pts", 0755), "dev/pts");
    check(mount("devpts", "dev/pts", "devpts", MS_NOSUID, "newinstance,ptmxmode=0666,mode=620"), "dev/pts");
    check(symlink("pts/ptmx", "dev/ptmx"), "dev/ptmx");
    check(symlink("/proc/self/fd", "dev/fd"), "dev/fd");
    check(mkdir("dev/shm", 01777), "dev/shm");
    check(mount("shm", "dev/shm", "tmpfs", MS_NOSUID, "mode=1777,size=64m"), "dev/shm");
}

int main(int count, char **arguments) {
    static const char *const shared[] = {"bin", "sbin", "lib", "lib64", "usr"};
    if (count != 4) {
        return 2;
    }
    const char *root = arguments[1], *system = arguments[2], *lab = arguments[3];
    umask(0);
    check(mount(root, root, NULL, MS_BIND | MS_REC, NULL), root); // with what boot mounted in it
    check(chdir(root), root);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        char source[PATH_MAX];
        snprintf(source, sizeof source, "%s/%s", system, shared[i]);
        bind_read_only(source, shared[i]);
    }
    check(mount("proc", "proc", "proc", 0, NULL), "proc");
    make_devices();
    check(mount("run", "run", "tmpfs", MS_NOSUID, "mode=755,size=16m"), "run");
    check(mkdir("run/lab", 0755), "run/lab");
    check(mount(lab, "run/lab", NULL, MS_BIND, NULL), lab);

    // The machine's root goes on top of the board's own, and from there away.
    check((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "the machine's root");
    check(chdir("/"), "/");

    umask(022);
    check(dup2(open("/dev/null", O_RDONLY), STDIN_FILENO), "/dev/null");
    int log = open("/run/lab/init.log", O_WRONLY | O_CREAT | O_APPEND, 0644);
    check(log, "/run/lab/init.log");
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execl("/sbin/init", "init", NULL);
    check(-1, "/sbin/init");
}
