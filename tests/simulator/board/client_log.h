// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// /var/log/mbl-cloud-client.log. Who reads it looks for a few lines of group "mbl " or "mClt" among many of the storage:
// a full start of the real client writes 900 to 2,600 lines. A group has four letters, but for one; an error in one that
// is not "mbl " is no trouble.
#pragma once

#include <stddef.h>

__attribute__((format(printf, 3, 4))) void log_line(const char *level, const char *group, const char *format, ...);
#define log_info(group, ...) log_line("INFO", group, __VA_ARGS__)
#define log_warning(group, ...) log_line("WARN", group, __VA_ARGS__)
#define log_failure(group, ...) log_line("ERR ", group, __VA_ARGS__)

// What the storage says while it looks at an item.
void log_item(const char *item);

// Lines are kept back until this is called: to be called before waiting, and before the end.
void log_flush(void);
