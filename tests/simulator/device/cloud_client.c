// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A stand-in for MBL's cloud client daemon: it bootstraps and registers with what it finds in the KCM, and logs as
// mbl-cloud-client of MBL 0.10 does. What it says to the cloud is the lab's own (see mutual_tls.h).
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "configured.h"
#include "json_line.h"
#include "kcm.h"
#include "mutual_tls.h"

#define LOG_FILE "/var/log/mbl-cloud-client.log"

enum { REGISTER_AGAIN_SECONDS = 300, FIRST_DELAY_SECONDS = 2, LONGEST_DELAY_SECONDS = 7 * 24 * 3600 };

// M2MInterface::Error of mbed-cloud-client.
enum connect_error {
    CONNECT_OK = 0,
    CONNECT_BOOTSTRAP_FAILED = 2,
    CONNECT_INVALID_PARAMETERS = 3,
    CONNECT_NETWORK_ERROR = 6,
    CONNECT_MEMORY_FAIL = 9,
    CONNECT_NOT_ALLOWED = 10,
    CONNECT_SECURE_CONNECTION_FAILED = 11,
    CONNECT_DNS_RESOLVING_FAILED = 12,
};

static const char *name_of(enum connect_error error) {
    switch (error) {
    case CONNECT_BOOTSTRAP_FAILED:
        return "ConnectBootstrapFailed";
    case CONNECT_INVALID_PARAMETERS:
        return "ConnectInvalidParameters";
    case CONNECT_NETWORK_ERROR:
        return "ConnectNetworkError";
    case CONNECT_MEMORY_FAIL:
        return "ConnectMemoryConnectFail";
    case CONNECT_NOT_ALLOWED:
        return "ConnectNotAllowed";
    case CONNECT_SECURE_CONNECTION_FAILED:
        return "ConnectSecureConnectionFailed";
    case CONNECT_DNS_RESOLVING_FAILED:
        return "ConnectDnsResolvingFailed";
    default:
        return "ConnectUnknownError";
    }
}

__attribute__((format(printf, 2, 3))) static void log_line(const char *level, const char *format, ...) {
    char line[1024], stamp[32];
    time_t now = time(NULL);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S%z", localtime(&now));
    int size = snprintf(line, sizeof line, "%s [%s][mbl ]: ", stamp, level);
    va_list arguments;
    va_start(arguments, format);
    size += vsnprintf(line + size, sizeof line - (size_t)size - 1, format, arguments);
    va_end(arguments);
    size = size < (int)sizeof line - 2 ? size : (int)sizeof line - 2;
    line[size++] = '\n';
    // Opened each time, so that the log may be rotated.
    int file = open(LOG_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file >= 0) {
        if (write(file, line, (size_t)size) < 0) {
            // A log that can't be written is no reason to stay away from the cloud.
        }
        close(file);
    }
}

static void log_error(enum connect_error error, const char *details) {
    log_line("ERR ", "Error occurred : %s", name_of(error));
    log_line("ERR ", "Error code : %d", error);
    log_line("ERR ", "Error details : %s", details);
}

static bool read_identity(const char *ca, const char *certificate, const char *private_key,
                          struct identity *identity) {
    return kcm_read(KCM_CERTIFICATE, ca, &identity->ca) == KCM_OK &&
           kcm_read(KCM_CERTIFICATE, certificate, &identity->certificate) == KCM_OK &&
           kcm_read(KCM_PRIVATE_KEY, private_key, &identity->private_key) == KCM_OK;
}

static void free_identity(struct identity *identity) {
    free(identity->ca.data);
    free(identity->certificate.data);
    free(identity->private_key.data);
}

// What the board keeps of the answer to a bootstrap.
static const struct {
    const char *answer, *item;
    enum kcm_kind kind;
} LWM2M[] = {
    {"lwm2m_ca", "mbed.LwM2MServerCACert", KCM_CERTIFICATE},
    {"lwm2m_certificate", "mbed.LwM2MDeviceCert", KCM_CERTIFICATE},
    {"lwm2m_private_key", "mbed.LwM2MDevicePrivateKey", KCM_PRIVATE_KEY},
    {"lwm2m_uri", "mbed.LwM2MServerURI", KCM_CONFIG},
    {"device_id", "mbed.InternalEndpoint", KCM_CONFIG},
};
enum { LWM2M_COUNT = sizeof LWM2M / sizeof *LWM2M, LWM2M_CREDENTIALS_COUNT = LWM2M_COUNT - 1 };

// The last one, the identity, stays: with it the board keeps its device id.
static void forget_lwm2m(void) {
    for (size_t i = 0; i < LWM2M_CREDENTIALS_COUNT; i++) {
        kcm_delete(LWM2M[i].kind, LWM2M[i].item);
    }
}

static enum connect_error keep_lwm2m(const char *answer, char fault[FAULT_SIZE]) {
    for (size_t i = 0; i < LWM2M_COUNT; i++) {
        struct bytes value;
        bool found = LWM2M[i].kind == KCM_CONFIG ? json_get(answer, LWM2M[i].answer, &value)
                                                 : json_get_base64(answer, LWM2M[i].answer, &value);
        if (!found) {
            snprintf(fault, FAULT_SIZE, "the bootstrap server sent no %s", LWM2M[i].answer);
            forget_lwm2m();
            return CONNECT_BOOTSTRAP_FAILED;
        }
        enum kcm_result result = kcm_store(LWM2M[i].kind, LWM2M[i].item, value.data, value.size, false);
        free(value.data);
        if (result != KCM_OK) {
            snprintf(fault, FAULT_SIZE, "%s could not be stored", LWM2M[i].item);
            forget_lwm2m();
            return CONNECT_MEMORY_FAIL;
        }
    }
    return CONNECT_OK;
}

// The value of the account in ?aid=... or &aid=...
static struct bytes account_of(const char *uri) {
    const char *place = strstr(uri, "?aid=");
    place = place == NULL ? strstr(uri, "&aid=") : place;
    place = place == NULL ? "" : place + 5;
    return (struct bytes){(uint8_t *)place, strcspn(place, "&")};
}

static char *bootstrap_request(const char *uri) {
    static const struct {
        const char *name, *item;
    } fields[] = {
        {"iep", "mbed.InternalEndpoint"},         {"endpoint_name", "mbed.EndpointName"},
        {"serial_number", "mbed.SerialNumber"},   {"manufacturer", "mbed.Manufacturer"},
        {"model_number", "mbed.ModelNumber"},     {"device_type", "mbed.DeviceType"},
        {"hardware_version", "mbed.HardwareVersion"}, {"vendor_id", "mbed.VendorId"},
        {"class_id", "mbed.ClassId"},
    };
    char *text;
    size_t size;
    FILE *line = open_memstream(&text, &size);
    struct bytes account = account_of(uri);
    json_begin(line, "bootstrap");
    json_text(line, "aid", &account);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct bytes value = {(uint8_t *)"", 0};
        bool found = kcm_read(KCM_CONFIG, fields[i].item, &value) == KCM_OK;
        (i < 7 ? json_text : json_hexadecimal)(line, fields[i].name, &value);
        if (found) {
            free(value.data);
        }
    }
    json_end(line);
    fclose(line);
    return text;
}

static enum connect_error error_of(enum exchange_result result, enum connect_error when_not_secure) {
    switch (result) {
    case EXCHANGE_OK:
        return CONNECT_OK;
    case EXCHANGE_NO_ADDRESS:
        return CONNECT_DNS_RESOLVING_FAILED;
    case EXCHANGE_NO_NETWORK:
        return CONNECT_NETWORK_ERROR;
    default:
        return when_not_secure;
    }
}

static bool is_refusal(const char *answer, char fault[FAULT_SIZE]) {
    struct bytes reason;
    if (!json_get(answer, "error", &reason)) {
        return false;
    }
    snprintf(fault, FAULT_SIZE, "%s", (char *)reason.data);
    free(reason.data);
    return true;
}

static enum connect_error bootstrap(char fault[FAULT_SIZE]) {
    struct identity identity = {0};
    struct bytes uri = {0}, answer;
    enum connect_error error = CONNECT_INVALID_PARAMETERS;
    snprintf(fault, FAULT_SIZE, "the bootstrap credentials can't be read");
    if (kcm_read(KCM_CONFIG, "mbed.BootstrapServerURI", &uri) == KCM_OK &&
        read_identity("mbed.BootstrapServerCACert", "mbed.BootstrapDeviceCert", "mbed.BootstrapDevicePrivateKey",
                      &identity)) {
        char *request = bootstrap_request((char *)uri.data);
        error = error_of(exchange_line((char *)uri.data, &identity, request, &answer, fault),
                         CONNECT_BOOTSTRAP_FAILED);
        free(request);
        if (error == CONNECT_OK) {
            error = is_refusal((char *)answer.data, fault) ? CONNECT_BOOTSTRAP_FAILED
                                                           : keep_lwm2m((char *)answer.data, fault);
            free(answer.data);
        }
    }
    free(uri.data);
    free_identity(&identity);
    return error;
}

// The DEVICE id is set when the cloud accepted.
static enum connect_error enroll(struct bytes *device, char fault[FAULT_SIZE]) {
    struct identity identity = {0};
    struct bytes uri = {0}, answer;
    enum connect_error error = CONNECT_INVALID_PARAMETERS;
    snprintf(fault, FAULT_SIZE, "the LwM2M credentials can't be read");
    if (kcm_read(KCM_CONFIG, "mbed.LwM2MServerURI", &uri) == KCM_OK &&
        read_identity("mbed.LwM2MServerCACert", "mbed.LwM2MDeviceCert", "mbed.LwM2MDevicePrivateKey", &identity)) {
        error = error_of(
            exchange_line((char *)uri.data, &identity, "{\"request\": \"register\"}\n", &answer, fault),
            CONNECT_SECURE_CONNECTION_FAILED);
        if (error == CONNECT_OK) {
            if (is_refusal((char *)answer.data, fault)) {
                error = CONNECT_NOT_ALLOWED;
            } else if (!json_get((char *)answer.data, "device_id", device)) {
                snprintf(fault, FAULT_SIZE, "the LwM2M server sent no device_id");
                error = CONNECT_NOT_ALLOWED;
            }
            free(answer.data);
        }
    }
    free(uri.data);
    free_identity(&identity);
    return error;
}

static bool has_lwm2m(void) {
    struct bytes uri;
    bool found = kcm_read(KCM_CONFIG, "mbed.LwM2MServerURI", &uri) == KCM_OK;
    if (found) {
        free(uri.data);
    }
    return found;
}

// A board that has LwM2M credentials uses only these. Once they are refused it bootstraps again.
static enum connect_error connect_to_cloud(struct bytes *device, char fault[FAULT_SIZE]) {
    if (has_lwm2m()) {
        enum connect_error error = enroll(device, fault);
        if (error == CONNECT_OK || error == CONNECT_NETWORK_ERROR || error == CONNECT_DNS_RESOLVING_FAILED) {
            return error;
        }
        log_error(error, fault);
        forget_lwm2m();
    }
    enum connect_error error = bootstrap(fault);
    return error == CONNECT_OK ? enroll(device, fault) : error;
}

static void serve(void) {
    bool registered = false;
    unsigned delay = 0;
    for (;;) {
        struct bytes device;
        char fault[FAULT_SIZE];
        enum connect_error error = connect_to_cloud(&device, fault);
        if (error == CONNECT_OK) {
            if (!registered) {
                log_line("INFO", "Client registered");
                log_line("INFO", "Endpoint Name: %s", (char *)device.data);
                log_line("INFO", "Device Id: %s", (char *)device.data);
            }
            free(device.data);
            registered = true;
            delay = 0;
            sleep(REGISTER_AGAIN_SECONDS);
        } else {
            log_error(error, fault);
            registered = false;
            // 2 to 10 seconds at first, then doubled, up to one week.
            delay = delay == 0 ? FIRST_DELAY_SECONDS + (unsigned)rand() % 9 : delay * 2;
            delay = delay < LONGEST_DELAY_SECONDS ? delay : LONGEST_DELAY_SECONDS;
            sleep(delay);
        }
    }
}

int main(void) {
    if (daemon(0, 0) != 0) {
        return 1;
    }
    srand((unsigned)getpid() ^ (unsigned)time(NULL));
    struct failure failure;
    if (kcm_open_existing() != KCM_OK || !is_configured(time(NULL), &failure)) {
        log_line("ERR ", "Device not configured for mbed Cloud - exit");
        return 1;
    }
    serve();
}
