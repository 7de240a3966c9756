// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "client_log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_FILE "/var/log/mbl-cloud-client.log"

static char pending[16384];
static size_t pending_size;

void log_flush(void) {
    if (pending_size == 0) {
        return;
    }
    // Opened each time, so that the log may be rotated.
    int file = open(LOG_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file >= 0) {
        if (write(file, pending, pending_size) < 0) {
            // A log that can't be written is no reason to stay away from the cloud.
        }
        close(file);
    }
    pending_size = 0;
}

void log_line(const char *level, const char *group, const char *format, ...) {
    char line[1024], stamp[32];
    time_t now = time(NULL);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S%z", localtime(&now));
    int size = snprintf(line, sizeof line, "%s [%s][%s]: ", stamp, level, group);
    va_list arguments;
    va_start(arguments, format);
    size += vsnprintf(line + size, sizeof line - (size_t)size - 1, format, arguments);
    va_end(arguments);
    size = size < (int)sizeof line - 2 ? size : (int)sizeof line - 2;
    line[size++] = '\n';
    if (pending_size + (size_t)size > sizeof pending) {
        log_flush();
    }
    memcpy(pending + pending_size, line, (size_t)size);
    pending_size += (size_t)size;
}

void log_item(const char *item) {
    static const char *const steps[] = {
        "esfs_open - enter", "esfs_file_size - enter", "esfs_read - enter", "esfs_close - enter",
    };
    log_info("fcc ", "storage_pelion_sst.c:423:storage_item_get_data:===> item name = %s len = %zu", item, strlen(item));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        log_info("esfs", "%s", steps[i]);
    }
    log_info("fcc ", "storage_pelion_sst.c:459:storage_item_get_data:<=== ");
}
