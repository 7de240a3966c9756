// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include "updates.h"

#include <fcntl.h>
#include <mbedtls/base64.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_log.h"
#include "lab_setting.h"

// Settings of the lab.
#define CLIENT "client-release"         // 2.0.1, 3.0.0, or 4.1.0 if there is none
#define ACTIVE_VERSION "active-version" // the timestamp of the installed manifest
#define FAULT "update-fault"            // says-221, silent or stuck
#define RETRY_SCALE "retry-scale"       // factor for the delay before something is sent again

#define HEADER_FILE "/scratch/firmware/header_0.bin"
#define FIRMWARE_FILE "/scratch/firmware/firmware_0.bin"
enum { HEADER_SIZE = 112 };

enum { IDLE = 1, PROCESSING = 2, AWAITING_DOWNLOAD = 3, DOWNLOADING = 4, NO_STATE = -1 };
enum { PACKAGE = 1, STATE = 2, RESULT = 3 };
enum { BLOCK_SIZE = 512, BLOCK_EXPONENT = 5, LONGEST_MANIFEST = 4096 };
enum { UPDATE_OBJECT = 10252, JSON_FORMAT = 42, FIRST_RESEND_SECONDS = 5 };

static struct {
    enum client client;
    uint16_t first_token;
    int state, result;
    bool busy; // with a real update, which no manifest disturbs
    struct bytes vendor, class_id; // as they were when the client was started
    uint32_t observed;

    struct link *link;
    uint16_t *next_id;
    bool unanswered; // the 2.04 to a manifest is not acknowledged yet
    uint16_t answer_id;
    bool only_4_12; // from now on; so 3.0.0 after a block of another size

    uint8_t manifest[LONGEST_MANIFEST];
    size_t size;

    struct verdict verdict; // to be told when PROCESSING is acknowledged
    bool processing;
    uint16_t processing_id;
    struct coap_draft processing_draft;
    double resend_at, resend_after; // seconds
} updates = {.state = IDLE, .result = NO_RESULT};

// --- what the board is

static struct bytes item(enum kcm_kind kind, const char *name) {
    struct bytes value = {0};
    for (int look = 0; look < 4; look++) { // as many lines as the real one's layers write
        log_item(name);
    }
    if (kcm_read(kind, name, &value) != KCM_OK) {
        value = (struct bytes){0};
    }
    return value;
}

static const char *const VERSIONS[] = {[CLIENT_2_0_1] = "2.0.1", [CLIENT_3_0_0] = "3.0.0", [CLIENT_4_1_0] = "4.1.0"};

const char *updates_client_version(void) { return VERSIONS[updates.client]; }

void updates_prepare(void) {
    updates.client = lab_word_is(CLIENT, "2.0.1") ? CLIENT_2_0_1 : lab_word_is(CLIENT, "3.0.0") ? CLIENT_3_0_0
                                                                                            : CLIENT_4_1_0;
    updates.first_token = updates.client == CLIENT_4_1_0 ? 1 : (uint16_t)(rand() % 30000);
    updates.vendor = item(KCM_CONFIG, "mbed.VendorId");
    updates.class_id = item(KCM_CONFIG, "mbed.ClassId");
    if (lab_word_is(FAULT, "stuck")) {
        updates.state = DOWNLOADING;
        updates.busy = true;
    }
}

static void write_base64(FILE *links, const struct bytes *value) {
    unsigned char text[64];
    size_t size;
    if (value->size > 0 && mbedtls_base64_encode(text, sizeof text, &size, value->data, value->size) == 0) {
        fprintf(links, ";v=\"%.*s\"", (int)size, text);
    }
}

void updates_write_links(FILE *links) {
    char version[32] = "-1";
    if (lab_number(ACTIVE_VERSION) != 0) {
        snprintf(version, sizeof version, "%llu", (unsigned long long)lab_number(ACTIVE_VERSION));
    }
    fprintf(links, ",</10252/0>,</10252/0/1>;rt=\"Package\"");
    fprintf(links, ",</10252/0/2>;rt=\"State\";v=\"%d\";aobs=\"%u\"", updates.state, updates.first_token + STATE);
    fprintf(links, ",</10252/0/3>;rt=\"UpdateResult\";v=\"%d\";aobs=\"%u\"", updates.result, updates.first_token + RESULT);
    fprintf(links, ",</10252/0/5>;rt=\"PkgName\";v=\"-1\";aobs=\"%u\"", updates.first_token + 5);
    fprintf(links, ",</10252/0/6>;rt=\"PkgVersion\";v=\"%s\";aobs=\"%u\"", version, updates.first_token + 6);
    fprintf(links, ",</10252/0/9>;rt=\"Update\",</10255/0>,</10255/0/0>;v=\"3\",</10255/0/3>");
    write_base64(links, &updates.vendor);
    fprintf(links, ",</10255/0/4>");
    write_base64(links, &updates.class_id);
}

// --- notifications

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static enum link_result send_draft(const struct coap_draft *draft) {
    return draft->size > COAP_LONGEST ? LINK_NO_NETWORK : link_send(updates.link, draft->data, draft->size);
}

static enum link_result notify(int resource, int value, struct coap_draft *draft) {
    char text[16];
    uint16_t number = (uint16_t)(updates.first_token + resource);
    uint8_t token[] = {(uint8_t)(number >> 8), (uint8_t)number};
    int size = snprintf(text, sizeof text, "%d", value);
    coap_begin(draft, COAP_CON, COAP_CONTENT, ++*updates.next_id, token, sizeof token);
    coap_add_number(draft, COAP_OBSERVE, ++updates.observed);
    coap_add_number(draft, COAP_CONTENT_FORMAT, 0);
    coap_add_number(draft, COAP_MAX_AGE, 0);
    coap_add_payload(draft, text, (size_t)size);
    return send_draft(draft);
}

static enum link_result set(int *value, int resource, int to) {
    struct coap_draft draft;
    if (*value == to) {
        return LINK_OK;
    }
    *value = to;
    return notify(resource, to, &draft);
}

static enum link_result set_state(int state) { return set(&updates.state, STATE, state); }
static enum link_result set_result(int result) { return set(&updates.result, RESULT, result); }

// --- manifests

static void log_verdict(const struct verdict *verdict) {
    if (verdict->error_code == 520) {
        log_failure("UC  ", "[HUB ] arm_uc_hub_state_machine.c:392: version: %llu <= %llu",
                    (unsigned long long)verdict->version, (unsigned long long)lab_number(ACTIVE_VERSION));
    }
    if (verdict->error != NULL) {
        log_failure("mbl ", "Error occurred : %s", verdict->error);
        log_failure("mbl ", "Error code : %d", verdict->error_code);
    }
}

// The order of the two is not fixed.
static enum link_result end_with(const struct verdict *verdict) {
    bool result_first = rand() & 1;
    log_verdict(verdict);
    enum link_result result = result_first ? set_result(verdict->result) : set_state(IDLE);
    if (result == LINK_OK) {
        result = result_first ? set_state(IDLE) : set_result(verdict->result);
    }
    return result;
}

static void write_file(const char *path, size_t size) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file >= 0) {
        if (ftruncate(file, (off_t)size) != 0) {
            log_failure("UCPI", "[PAAL] can't write %s", path);
        }
        close(file);
    }
}

// As far as it gets with an address that gives nothing, which is where it stays until the client is started again.
static enum link_result update_in_earnest(void) {
    if (updates.client == CLIENT_4_1_0) {
        // On 64 bit, 4.1.0 dies here, without a word.
        log_flush();
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    updates.busy = true;
    enum link_result result = set_state(AWAITING_DOWNLOAD);
    log_info("mbl ", "Firmware download requested");
    log_info("mbl ", "Authorization granted");
    write_file(HEADER_FILE, HEADER_SIZE);
    write_file(FIRMWARE_FILE, 0);
    return result == LINK_OK ? set_state(DOWNLOADING) : result;
}

static enum link_result finish(void) {
    updates.processing = false;
    return updates.verdict.accepted ? update_in_earnest() : end_with(&updates.verdict);
}

static enum link_result process(void) {
    if (lab_word_is(FAULT, "silent")) {
        return LINK_OK;
    }
    enum link_result result = set_state(NO_STATE);
    if (updates.busy) {
        log_failure("UC  ", "[HUB ] received new manifest before reading the old one");
        return result;
    }
    if (result == LINK_OK) {
        result = set_result(NO_RESULT);
    }
    struct board_facts facts = {.client = updates.client, .active_version = lab_number(ACTIVE_VERSION)};
    facts.certificate = item(KCM_CERTIFICATE, "mbed.UpdateAuthCert");
    facts.vendor = item(KCM_CONFIG, "mbed.VendorId");
    facts.class_id = item(KCM_CONFIG, "mbed.ClassId");
    judge_manifest(updates.manifest, updates.size, &facts, &updates.verdict);
    free(facts.certificate.data);
    free(facts.vendor.data);
    free(facts.class_id.data);
    if (lab_word_is(FAULT, "says-221")) {
        updates.verdict = (struct verdict){true, false, 221, "UpdateWarningRollbackProtection", 520, 0};
    }
    if (result != LINK_OK || !updates.verdict.processed) {
        return result == LINK_OK ? end_with(&updates.verdict) : result;
    }
    updates.state = PROCESSING;
    updates.processing = true;
    updates.resend_after = FIRST_RESEND_SECONDS * lab_factor(RETRY_SCALE);
    updates.resend_at = now() + updates.resend_after;
    result = notify(STATE, PROCESSING, &updates.processing_draft);
    updates.processing_id = *updates.next_id;
    return result;
}

static enum link_result acknowledge(const struct coap_message *message, uint8_t code) {
    struct coap_draft draft;
    coap_begin(&draft, COAP_ACK, code, message->id, message->token, code == COAP_EMPTY ? 0 : message->token_size);
    if (code != COAP_EMPTY && message->in_blocks) {
        coap_add_number(&draft, COAP_BLOCK1, message->block);
    }
    return send_draft(&draft);
}

// The code to refuse a part of a manifest with; COAP_EMPTY: it is taken.
static uint8_t refusal(const struct coap_message *message) {
    bool new = updates.client == CLIENT_4_1_0;
    if (message->code != COAP_POST) {
        return COAP_METHOD_NOT_ALLOWED;
    }
    if (updates.unanswered || updates.only_4_12) {
        return COAP_PRECONDITION_FAILED;
    }
    size_t start = message->in_blocks ? (message->block >> 4) * (size_t)BLOCK_SIZE : 0;
    bool other_size = message->in_blocks && (message->block & 7) != BLOCK_EXPONENT;
    if (other_size || message->payload_size > BLOCK_SIZE) {
        updates.only_4_12 = !new;
        return new ? COAP_TOO_LARGE : COAP_PRECONDITION_FAILED;
    }
    if (start == 0) {
        updates.size = 0;
    }
    if (start != updates.size) {
        return COAP_PRECONDITION_FAILED;
    }
    return start + message->payload_size > sizeof updates.manifest ? COAP_TOO_LARGE : COAP_EMPTY;
}

static enum link_result take_package(const struct coap_message *message) {
    uint8_t code = refusal(message);
    if (code != COAP_EMPTY) {
        return acknowledge(message, code);
    }
    if (message->payload_size > 0) {
        memcpy(updates.manifest + updates.size, message->payload, message->payload_size);
    }
    updates.size += message->payload_size;
    if (message->in_blocks && (message->block & 8)) {
        return acknowledge(message, COAP_CONTINUE);
    }
    enum link_result result = acknowledge(message, COAP_EMPTY);
    if (result != LINK_OK || message->content_format == JSON_FORMAT) {
        return result; // after such a one, nothing more is heard
    }
    struct coap_draft draft;
    coap_begin(&draft, COAP_CON, COAP_CHANGED, ++*updates.next_id, message->token, message->token_size);
    result = send_draft(&draft);
    updates.unanswered = true;
    updates.answer_id = *updates.next_id;
    return result == LINK_OK ? process() : result;
}

bool updates_take(const struct link *link, const struct coap_message *message, enum link_result *result) {
    if (link != updates.link) {
        return false;
    }
    if (message->type == COAP_ACK && message->code == COAP_EMPTY) {
        if (updates.unanswered && message->id == updates.answer_id) {
            updates.unanswered = false;
        } else if (updates.processing && message->id == updates.processing_id) {
            *result = finish();
        }
        return true;
    }
    if (message->type != COAP_CON || strcmp(message->path, "10252/0/1") != 0) {
        return false;
    }
    *result = take_package(message);
    return true;
}

double updates_wait(void) {
    double left = updates.resend_at - now();
    return !updates.processing ? -1 : left < 0 ? 0 : left;
}

enum link_result updates_resend(void) {
    if (!updates.processing || now() < updates.resend_at) {
        return LINK_OK;
    }
    updates.resend_after *= 2;
    updates.resend_at = now() + updates.resend_after;
    return send_draft(&updates.processing_draft);
}

void updates_connected(struct link *link, uint16_t *next_id) {
    updates.link = link;
    updates.next_id = next_id;
    updates.unanswered = false;
    updates.only_4_12 = false;
    updates.size = 0;
    if (updates.processing) {
        updates.processing = false;
        updates.state = IDLE;
    }
}
