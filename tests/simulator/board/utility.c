// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A stand-in for MBL's pelion-provisioning-util, faults included: what it prints, stores, accepts and refuses is what
// Arm's own tool was observed to (head of development, January 2020, with mbed-cloud-client 4.1.0).
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configured.h"
#include "kcm.h"

#define INPUT_DIRECTORY "/scratch/provisioning-certs"

static const char USAGE[] =
    "Usage:\n"
    "  pelion-provisioning-util [option]\n"
    "\n"
    "\n"
    "Options:\n"
    "  --provision                    Provision device, with developer and update credentials, from a set of binary "
    "files located at /scratch/provisioning-certs.\n"
    "  --get-pelion-status            Get the Pelion status of the device.\n"
    "  --help                         Show this message and exit.\n"
    "    ";

struct input {
    const char *file;
    const char *item;
    enum kcm_kind kind;
};

static const struct input DEVELOPER[] = {
    {"MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME", "mbed.EndpointName", KCM_CONFIG},
    {"MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE", "mbed.BootstrapDeviceCert", KCM_CERTIFICATE},
    {"MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE", "mbed.BootstrapServerCACert", KCM_CERTIFICATE},
    {"MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY", "mbed.BootstrapDevicePrivateKey", KCM_PRIVATE_KEY},
    {"MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI", "mbed.BootstrapServerURI", KCM_CONFIG},
    {"MBED_CLOUD_DEV_MANUFACTURER", "mbed.Manufacturer", KCM_CONFIG},
    {"MBED_CLOUD_DEV_MODEL_NUMBER", "mbed.ModelNumber", KCM_CONFIG},
    {"MBED_CLOUD_DEV_SERIAL_NUMBER", "mbed.SerialNumber", KCM_CONFIG},
    {"MBED_CLOUD_DEV_DEVICE_TYPE", "mbed.DeviceType", KCM_CONFIG},
    {"MBED_CLOUD_DEV_HARDWARE_VERSION", "mbed.HardwareVersion", KCM_CONFIG},
    {"MBED_CLOUD_DEV_MEMORY_TOTAL_KB", "mbed.MemoryTotalKB", KCM_CONFIG},
};
static const struct input UPDATE[] = {
    {"arm_uc_default_certificate", "mbed.UpdateAuthCert", KCM_CERTIFICATE},
    {"arm_uc_vendor_id", "mbed.VendorId", KCM_CONFIG},
    {"arm_uc_class_id", "mbed.ClassId", KCM_CONFIG},
};
enum { DEVELOPER_COUNT = sizeof DEVELOPER / sizeof *DEVELOPER, UPDATE_COUNT = sizeof UPDATE / sizeof *UPDATE };

static void say_random(void) { printf("Generating random from /dev/random, this can take a long time!\n"); }

// The real one's cerr flushes its cout first.
static void complain(const char *format, const char *first, const char *second) {
    fflush(stdout);
    fprintf(stderr, format, first, second);
}

static bool load(const struct input *inputs, size_t count, const char *group, struct bytes *values) {
    bool complete = true;
    for (size_t i = 0; i < count; i++) {
        char path[256];
        snprintf(path, sizeof path, INPUT_DIRECTORY "/%s.bin", inputs[i].file);
        if (!read_file(path, &values[i])) {
            complain("File with path %s%s", path, "could not be opened\n"); // no blank between, as the real one
            complete = false;
        }
    }
    if (!complete) {
        complain("There was an error parsing the %s files\n%s", group, "");
    }
    return complete;
}

// A code of the library for X.509, to which that of a deeper one may be added.
static bool is_unknown_signature(int result) {
    return -(-result & 0xFF80) == MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG;
}

// What is wrong with the data of an item, in the real one's words; NULL when it may be stored. The real one's library
// knows no signature but ECDSA with SHA-256, and no RSA key: the signature is read first.
static const char *fault_of_certificate(const struct bytes *data) {
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    const char *fault = NULL;
    int result = data->size == 0 ? 0 : mbedtls_x509_crt_parse_der(&certificate, data->data, data->size);
    if (data->size == 0) {
        fault = "Item data empty";
    } else if (is_unknown_signature(result) || (result == 0 && (certificate.sig_pk != MBEDTLS_PK_ECDSA ||
                                                                certificate.sig_md != MBEDTLS_MD_SHA256))) {
        fault = "General error";
    } else if (result != 0 || mbedtls_pk_can_do(&certificate.pk, MBEDTLS_PK_RSA)) {
        fault = "Certificate parse failed";
    } else if (curve_of(&certificate.pk) != MBEDTLS_ECP_DP_SECP256R1) {
        fault = "Curve unsupported";
    }
    mbedtls_x509_crt_free(&certificate);
    return fault;
}

static const char *fault_of_private_key(const struct bytes *data) {
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    const char *fault = NULL;
    if (data->size == 0) {
        fault = "Item data empty";
    } else if (strncmp((const char *)data->data, "-----BEGIN", 10) == 0) {
        fault = "General error";
    } else if (parse_private_key(&key, data->data, data->size) != 0 || curve_of(&key) != MBEDTLS_ECP_DP_SECP256R1) {
        fault = "Public key format invalid";
    }
    mbedtls_pk_free(&key);
    return fault;
}

static bool fail_item(const char *action, const char *item, const char *fault) {
    fflush(stdout);
    fprintf(stderr, "Failed to %s KCM Item! Item name: %s\nError status is: %s:\n", action, item, fault);
    return false;
}

static const char *text_of(enum kcm_result result) {
    switch (result) {
    case KCM_EXISTS:
        return "Data already exists";
    case KCM_OTHER_NAME:
        return "File name corrupted";
    case KCM_OTHER_VERSION:
        return "File version invalid";
    default:
        return "File operation general error";
    }
}

// Deletes, then validates, then stores: a refused item leaves none.
static bool store_item(enum kcm_kind kind, const char *item, const struct bytes *data) {
    enum kcm_result result = kcm_delete(kind, item);
    if (result != KCM_OK && result != KCM_NOT_FOUND) {
        return fail_item("delete", item, text_of(result));
    }
    const char *fault = kind == KCM_CERTIFICATE   ? fault_of_certificate(data)
                        : kind == KCM_PRIVATE_KEY ? fault_of_private_key(data)
                                                  : NULL;
    if (fault != NULL) {
        return fail_item("store", item, fault);
    }
    result = kcm_store(kind, item, data->data, data->size, true);
    return result == KCM_OK || fail_item("store", item, text_of(result));
}

static bool store(const struct input *inputs, size_t count, const struct bytes *values) {
    for (size_t i = 0; i < count; i++) {
        if (!store_item(inputs[i].kind, inputs[i].item, &values[i])) {
            return false;
        }
    }
    return true;
}

static bool provision(void) {
    printf("Provisioning device.\n");
    struct bytes developer[DEVELOPER_COUNT], update[UPDATE_COUNT];
    bool loaded = load(DEVELOPER, DEVELOPER_COUNT, "dev credentials", developer);
    loaded = load(UPDATE, UPDATE_COUNT, "Update Credentials", update) && loaded;
    if (!loaded) {
        return false;
    }
    const struct bytes use_bootstrap = {(uint8_t *)"\1\0\0", 4};
    bool developer_stored =
        store_item(KCM_CONFIG, "mbed.UseBootstrap", &use_bootstrap) && store(DEVELOPER, DEVELOPER_COUNT, developer);
    bool update_stored = store(UPDATE, UPDATE_COUNT, update);
    if (!developer_stored || !update_stored) {
        complain("%s Certificate Provisioning failed.\n%s", developer_stored ? "Update" : "Developer", "");
        return false;
    }
    printf("Provisioning process completed without error.\n");
    return true;
}

static bool show_status(void) {
    struct failure failure;
    printf("Querying device status... \n");
    if (!is_configured(kcm_time(), &failure)) {
        complain("%s:%s\n", failure.text, failure.item);
        return false;
    }
    printf("Device is configured correctly. You can connect to Pelion Cloud!\n");
    return true;
}

int main(int count, char **arguments) {
    const char *option = count == 2 ? arguments[1] : "";
    bool (*action)(void) = strcmp(option, "--provision") == 0           ? provision
                           : strcmp(option, "--get-pelion-status") == 0 ? show_status
                                                                        : NULL;
    if (action == NULL) {
        fputs(USAGE, stdout);
        return strcmp(option, "--help") == 0 ? 0 : 2;
    }
    if (kcm_open() != KCM_OK) {
        fputs("FCC init failed!\nError status is: General error:\n"
              "FCC finalise failed!\nError status is: General error:\n", stderr);
        return 1;
    }
    kcm_before_random = say_random;
    return action() ? 0 : 1;
}
