// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "kcm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mbedtls/aes.h>
#include <mbedtls/md.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORAGE "/config/user/pal"
#define WORKING STORAGE "/WORKING"
#define BACKUP STORAGE "/BACKUP"
#define ROOT_OF_TRUST STORAGE "/flashSim"

enum { ROOT_OF_TRUST_SIZE = 8192, NONCE_SIZE = 8, MAC_SIZE = 16, DIGEST_SIZE = 32 };
enum { FORMAT_VERSION = 1, MODE_ENCRYPTED = 0x0100, MODE_FACTORY = 0x0200 };
enum { COMPLETE_NAME_SIZE = 128 };

// What the lab's own utility keeps at the start of flashSim. The contract gives the file's size and purpose only.
static struct root_of_trust {
    char magic[7];
    uint8_t has_keys;
    uint8_t cipher_key[16];
    uint8_t mac_key[32];
    uint8_t time[8]; // little-endian seconds since 1970
} root_of_trust;
static const char MAGIC[] = "LabKCM1"; // its end is not kept

static const char *const PREFIXES[] = {"CfgParam_", "Cert_", "PrvKey_"};

void *allocate(size_t size) {
    void *memory = malloc(size + 1);
    if (memory == NULL) {
        // What the real one, in C++, says.
        fputs("terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n", stderr);
        abort();
    }
    return memory;
}

bool read_file(const char *path, struct bytes *content) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    // A directory can be opened too: ext4 then names an absurd size, tmpfs none.
    off_t size = lseek(file, 0, SEEK_END);
    if (size < 0 || (size == 0 && read(file, NULL, 0) < 0 && errno == EISDIR)) {
        close(file);
        return false;
    }
    content->data = allocate((size_t)size);
    content->size = 0;
    lseek(file, 0, SEEK_SET);
    ssize_t got;
    while (content->size < (size_t)size &&
           (got = read(file, content->data + content->size, (size_t)size - content->size)) > 0) {
        content->size += (size_t)got;
    }
    close(file);
    content->data[content->size] = 0;
    return content->size == (size_t)size;
}

// Each write is on the disk when it returns. What a write that fails has begun, stays.
static bool write_file(const char *path, int flags, const void *data, size_t size) {
    int file = open(path, O_WRONLY | O_CREAT | O_SYNC | O_CLOEXEC | flags, 0666);
    if (file < 0) {
        return false;
    }
    const uint8_t *rest = data;
    while (size > 0) {
        ssize_t written = write(file, rest, size);
        if (written < 0) {
            close(file);
            return false;
        }
        rest += written;
        size -= (size_t)written;
    }
    return close(file) == 0;
}

void (*kcm_before_random)(void);

void kcm_need_random(void) {
    if (kcm_before_random != NULL) {
        kcm_before_random();
        kcm_before_random = NULL;
    }
}

int kcm_random(void *context, unsigned char *buffer, size_t size) {
    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(buffer, size, 0);
        if (got < 0) {
            return -1;
        }
        buffer += got;
        size -= (size_t)got;
    }
    return 0;
}

static bool save_root_of_trust(void) {
    uint8_t content[ROOT_OF_TRUST_SIZE] = {0};
    memcpy(content, &root_of_trust, sizeof root_of_trust);
    return write_file(ROOT_OF_TRUST, 0, content, sizeof content); // in place: no power cut leaves it empty
}

static bool make_directory(const char *path) {
    struct stat status;
    return mkdir(path, 0777) == 0 || (stat(path, &status) == 0 && S_ISDIR(status.st_mode));
}

static enum kcm_result open_existing(void) {
    struct bytes content;
    if (!read_file(ROOT_OF_TRUST, &content)) {
        return KCM_NOT_FOUND;
    }
    bool complete = content.size == ROOT_OF_TRUST_SIZE;
    if (complete) {
        memcpy(&root_of_trust, content.data, sizeof root_of_trust);
    }
    free(content.data);
    if (!complete) {
        return KCM_NOT_FOUND;
    }
    return access(ROOT_OF_TRUST, W_OK) == 0 ? KCM_OK : KCM_FILE_ERROR;
}

enum kcm_result kcm_open(void) {
    if (!make_directory(STORAGE) || !make_directory(WORKING) || !make_directory(BACKUP)) {
        return KCM_FILE_ERROR;
    }
    enum kcm_result result = open_existing();
    if (result != KCM_NOT_FOUND) {
        return result;
    }
    memset(&root_of_trust, 0, sizeof root_of_trust);
    memcpy(root_of_trust.magic, MAGIC, sizeof root_of_trust.magic);
    return save_root_of_trust() ? KCM_OK : KCM_FILE_ERROR;
}

static bool ensure_keys(void) {
    kcm_need_random();
    if (root_of_trust.has_keys) {
        return true;
    }
    kcm_random(NULL, root_of_trust.cipher_key, sizeof root_of_trust.cipher_key);
    kcm_random(NULL, root_of_trust.mac_key, sizeof root_of_trust.mac_key);
    root_of_trust.has_keys = 1;
    return save_root_of_trust();
}

time_t kcm_time(void) {
    uint64_t seconds = 0;
    for (int i = 7; i >= 0; i--) {
        seconds = seconds << 8 | root_of_trust.time[i];
    }
    return (time_t)seconds;
}

// In its place only: another process may have made keys since.
enum kcm_result kcm_set_time(time_t now) {
    for (size_t i = 0; i < sizeof root_of_trust.time; i++) {
        root_of_trust.time[i] = (uint8_t)((uint64_t)now >> 8 * i);
    }
    int file = open(ROOT_OF_TRUST, O_WRONLY | O_CLOEXEC);
    ssize_t written = file < 0 ? -1
                               : pwrite(file, root_of_trust.time, sizeof root_of_trust.time,
                                        offsetof(struct root_of_trust, time));
    if (file >= 0) {
        close(file);
    }
    return written == sizeof root_of_trust.time ? KCM_OK : KCM_FILE_ERROR;
}

static void sha256(const void *data, size_t size, uint8_t digest[DIGEST_SIZE]) {
#if MBEDTLS_VERSION_MAJOR < 3
    mbedtls_sha256_ret(data, size, digest, 0);
#else
    mbedtls_sha256(data, size, digest, 0);
#endif
}

// An item's file: the first 48 bits of the SHA-256 of its complete name, 6 bits to the letter.
static void item_path(const char *directory, const char *complete_name, char path[PATH_MAX]) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789#_";
    uint8_t digest[DIGEST_SIZE];
    sha256(complete_name, strlen(complete_name), digest);
    uint64_t bits = 0;
    for (int i = 0; i < 6; i++) {
        bits = bits << 8 | digest[i];
    }
    char file_name[9] = {0};
    for (int i = 7; i >= 0; i--, bits >>= 6) {
        file_name[i] = letters[bits & 63];
    }
    snprintf(path, PATH_MAX, "%s/%s", directory, file_name);
}

static void complete_name_of(enum kcm_kind kind, const char *name, char complete_name[COMPLETE_NAME_SIZE]) {
    snprintf(complete_name, COMPLETE_NAME_SIZE, "%s%s", PREFIXES[kind], name);
}

static void put16(uint8_t *place, size_t value) {
    place[0] = value & 255;
    place[1] = value >> 8 & 255;
}

// Encrypting and decrypting are the same.
static void cipher(const uint8_t nonce[NONCE_SIZE], const uint8_t *input, uint8_t *output, size_t size) {
    mbedtls_aes_context aes;
    uint8_t counter[16] = {0}, block[16];
    size_t offset = 0;
    memcpy(counter, nonce, NONCE_SIZE);
    mbedtls_aes_init(&aes);
    mbedtls_aes_setkey_enc(&aes, root_of_trust.cipher_key, 128);
    mbedtls_aes_crypt_ctr(&aes, size, &offset, counter, block, input, output);
    mbedtls_aes_free(&aes);
}

// The bytes in an item's file that are not its data.
static size_t overhead(bool encrypted, size_t name_size) {
    return 6 + name_size + (encrypted ? NONCE_SIZE : 0) + 2 + MAC_SIZE;
}

static void authenticate(const uint8_t *data, size_t size, uint8_t mac[MAC_SIZE]) {
    uint8_t complete[DIGEST_SIZE];
    mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), root_of_trust.mac_key,
                    sizeof root_of_trust.mac_key, data, size, complete);
    memcpy(mac, complete, MAC_SIZE);
}

static size_t get16(const uint8_t *place) { return place[0] | (size_t)place[1] << 8; }

// Whether the file at PATH is an item's, by its header, and the MODE that this names. A file that ends within its header
// is taken for good, as the real one takes it; what the file does not say of its mode is 0.
static enum kcm_result examine(const char *path, const char *complete_name, size_t *mode) {
    uint8_t header[6 + COMPLETE_NAME_SIZE];
    size_t name_size = strlen(complete_name);
    *mode = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return KCM_NOT_FOUND;
    }
    ssize_t got = read(file, header, 6 + name_size);
    close(file);
    if (got < 0) { // a directory
        return KCM_DAMAGED;
    }
    size_t size = (size_t)got;
    if (size >= 2 && get16(header) != FORMAT_VERSION) {
        return KCM_OTHER_VERSION;
    }
    if (size >= 4) {
        *mode = get16(header + 2);
    }
    bool other = size >= 6 && (get16(header + 4) != name_size || memcmp(header + 6, complete_name, size - 6) != 0);
    return other ? KCM_OTHER_NAME : KCM_OK;
}

// The complete content of an item's file, written as for MODE though its header names NAMED_MODE. What is FOREIGN can't
// be encrypted as its owner would: the bytes are random ones, and the lab keeps the value.
static struct bytes seal(const char *complete_name, size_t named_mode, size_t mode, const void *data, size_t size) {
    bool encrypted = mode & MODE_ENCRYPTED;
    size_t name_size = strlen(complete_name);
    struct bytes file = {.size = overhead(encrypted, name_size) + size};
    file.data = allocate(file.size);
    put16(file.data, FORMAT_VERSION);
    put16(file.data + 2, named_mode);
    put16(file.data + 4, name_size);
    memcpy(file.data + 6, complete_name, name_size);
    uint8_t *nonce = file.data + 6 + name_size;
    uint8_t *mac = file.data + file.size - MAC_SIZE;
    uint8_t *place = mac - size;
    put16(place - 2, 0);
    if (encrypted) {
        kcm_random(NULL, nonce, NONCE_SIZE);
    }
    if (!encrypted) {
        memcpy(place, data, size);
    } else {
        cipher(nonce, data, place, size);
    }
    authenticate(file.data, file.size - MAC_SIZE, mac);
    return file;
}

// The copy in use of a factory item. What could not be written whole goes.
static enum kcm_result put_to_use(const char *working, const struct bytes *file) {
    if (write_file(working, O_TRUNC, file->data, file->size)) {
        return KCM_OK;
    }
    if (access(working, F_OK) == 0) { // not a link that leads nowhere
        unlink(working);
    }
    return KCM_FILE_ERROR;
}

enum kcm_result kcm_store(enum kcm_kind kind, const char *name, const void *data, size_t size, bool factory) {
    char complete_name[COMPLETE_NAME_SIZE], working[PATH_MAX], backup[PATH_MAX];
    complete_name_of(kind, name, complete_name);
    item_path(WORKING, complete_name, working);
    item_path(BACKUP, complete_name, backup);
    if (!ensure_keys()) {
        return KCM_FILE_ERROR;
    }
    size_t former_mode;
    enum kcm_result there = examine(working, complete_name, &former_mode);
    if (there != KCM_NOT_FOUND) {
        return there == KCM_OTHER_NAME || there == KCM_OTHER_VERSION ? there : KCM_EXISTS;
    }
    size_t named_mode = (kind == KCM_CERTIFICATE ? 0 : MODE_ENCRYPTED) | (factory ? MODE_FACTORY : 0);
    size_t mode = named_mode;
    if (factory) {
        enum kcm_result former = examine(backup, complete_name, &former_mode);
        if (former == KCM_OTHER_NAME || former == KCM_OTHER_VERSION) {
            return former;
        }
        if (former != KCM_NOT_FOUND) {
            mode = former_mode; // the real one goes by this, and then writes the right one
        }
    }
    if (kind == KCM_CERTIFICATE && mode & MODE_ENCRYPTED) {
        size = 0; // the real one has not prepared a cipher, and fails
    }
    struct bytes file = seal(complete_name, named_mode, mode, data, size);
    bool stored = write_file(factory ? backup : working, O_TRUNC, file.data, file.size);
    enum kcm_result result = stored && (kind != KCM_CERTIFICATE || !(mode & MODE_ENCRYPTED)) ? KCM_OK : KCM_FILE_ERROR;
    if (result == KCM_OK && mode & MODE_FACTORY) {
        result = put_to_use(working, &file);
    }
    free(file.data);
    return result;
}

// The value of an item's FILE, moved to its start.
static enum kcm_result unseal(enum kcm_kind kind, const char *complete_name, struct bytes *file) {
    size_t name_size = strlen(complete_name), around = overhead(kind != KCM_CERTIFICATE, name_size);
    if (file->size < around) {
        return KCM_DAMAGED;
    }
    // With the root of trust lost, new keys are made, and no item is theirs.
    uint8_t mac[MAC_SIZE];
    if (!root_of_trust.has_keys && !ensure_keys()) {
        return KCM_FILE_ERROR;
    }
    authenticate(file->data, file->size - MAC_SIZE, mac);
    if (memcmp(mac, file->data + file->size - MAC_SIZE, MAC_SIZE) != 0) {
        return KCM_DAMAGED;
    }
    size_t size = file->size - around;
    if (get16(file->data + around - MAC_SIZE - 2) != 0) {
        return KCM_DAMAGED; // not a count of what the file says of itself
    }
    uint8_t nonce[NONCE_SIZE];
    memcpy(nonce, file->data + 6 + name_size, NONCE_SIZE);
    memmove(file->data, file->data + file->size - MAC_SIZE - size, size);
    if (kind != KCM_CERTIFICATE) {
        cipher(nonce, file->data, file->data, size);
    }
    file->size = size;
    file->data[size] = 0;
    return KCM_OK;
}

enum kcm_result kcm_read(enum kcm_kind kind, const char *name, struct bytes *value) {
    char complete_name[COMPLETE_NAME_SIZE], path[PATH_MAX];
    complete_name_of(kind, name, complete_name);
    item_path(WORKING, complete_name, path);
    size_t mode;
    enum kcm_result result = examine(path, complete_name, &mode);
    if (result != KCM_OK) {
        return result == KCM_OTHER_NAME ? KCM_NOT_FOUND : result;
    }
    if (!read_file(path, value)) {
        return KCM_NOT_FOUND;
    }
    result = unseal(kind, complete_name, value);
    if (result != KCM_OK) {
        free(value->data);
        value->data = NULL;
    }
    return result;
}

enum kcm_result kcm_delete(enum kcm_kind kind, const char *name) {
    char complete_name[COMPLETE_NAME_SIZE], path[PATH_MAX];
    complete_name_of(kind, name, complete_name);
    item_path(WORKING, complete_name, path);
    size_t mode;
    enum kcm_result there = examine(path, complete_name, &mode);
    if (there == KCM_NOT_FOUND || there == KCM_OTHER_NAME) {
        return KCM_NOT_FOUND;
    }
    return unlink(path) == 0 ? KCM_OK : KCM_FILE_ERROR;
}
