// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A board's secure storage (KCM, "Key and Config Manager") in /config/user/pal: names and layout of the files as
// mbed-cloud-client 3.0 and 4.1 leave them. Certificates lie in plain, private keys and config items encrypted.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum kcm_kind { KCM_CONFIG, KCM_CERTIFICATE, KCM_PRIVATE_KEY };

enum kcm_result {
    KCM_OK,
    KCM_NOT_FOUND,
    KCM_EXISTS,
    KCM_DAMAGED,
    KCM_OTHER_NAME,    // the file says that it is another item's
    KCM_OTHER_VERSION, // or of another format
    KCM_FILE_ERROR,
};

struct bytes {
    uint8_t *data; // from malloc; one NUL follows the last byte
    size_t size;
};

void *allocate(size_t size);

// Read a whole file. False when there is none to be read.
bool read_file(const char *path, struct bytes *content);

// Called once per process, before randomness is first needed.
extern void (*kcm_before_random)(void);
void kcm_need_random(void);
int kcm_random(void *context, unsigned char *buffer, size_t size); // the form of callback that mbedtls wants

// Create what is missing of the storage: the last component of its path, WORKING, BACKUP and flashSim.
enum kcm_result kcm_open(void);

// Factory items are stored in BACKUP first, then copied to WORKING. Only what kcm_delete has deleted can be stored. As the
// real one does, it heeds the header of the copy in BACKUP that it replaces: no item is stored over one of another name or
// version, and one that is cut off within its header makes the new item be forgotten, though all seems well.
enum kcm_result kcm_store(enum kcm_kind kind, const char *name, const void *data, size_t size, bool factory);
enum kcm_result kcm_read(enum kcm_kind kind, const char *name, struct bytes *value);
// From WORKING only. What is in an item's place and says that it is another's stays there.
enum kcm_result kcm_delete(enum kcm_kind kind, const char *name);

// The time that was last set in the storage, 0 when none ever was.
time_t kcm_time(void);
enum kcm_result kcm_set_time(time_t now);
