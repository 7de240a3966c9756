// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#define _GNU_SOURCE
#include "configured.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/version.h>
#include <stdlib.h>
#include <string.h>

#include "kcm.h"

static bool fail(struct failure *failure, const char *text, const char *item) {
    failure->text = text;
    failure->item = item;
    return false;
}

int parse_private_key(mbedtls_pk_context *key, const unsigned char *data, size_t size) {
    // What follows a key in DER does no harm, but newer releases of mbedtls object.
    unsigned char *content = (unsigned char *)data;
    size_t content_size;
    if (mbedtls_asn1_get_tag(&content, data + size, &content_size,
                             MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) == 0) {
        size = (size_t)(content - data) + content_size;
    }
#if MBEDTLS_VERSION_MAJOR < 3
    return mbedtls_pk_parse_key(key, data, size, NULL, 0);
#else
    return mbedtls_pk_parse_key(key, data, size, NULL, 0, kcm_random, NULL);
#endif
}

mbedtls_ecp_group_id curve_of(const mbedtls_pk_context *key) {
    return mbedtls_pk_can_do(key, MBEDTLS_PK_ECKEY) ? mbedtls_pk_ec(*key)->grp.id : MBEDTLS_ECP_DP_NONE;
}

static bool is_pair(const mbedtls_pk_context *public_key, const mbedtls_pk_context *private_key) {
#if MBEDTLS_VERSION_MAJOR < 3
    return mbedtls_pk_check_pair(public_key, private_key) == 0;
#else
    return mbedtls_pk_check_pair(public_key, private_key, kcm_random, NULL) == 0;
#endif
}

static bool read_item(enum kcm_kind kind, const char *name, struct bytes *value, struct failure *failure) {
    switch (kcm_read(kind, name, value)) {
    case KCM_OK:
        return true;
    case KCM_NOT_FOUND:
        return fail(failure, "Item does not exist", name);
    default:
        return fail(failure, "General error", name);
    }
}

// Of these, the real one asks for no more than their size, and takes a damaged one for none.
static bool read_or_miss(enum kcm_kind kind, const char *name, struct bytes *value, struct failure *failure) {
    return kcm_read(kind, name, value) == KCM_OK || fail(failure, "Item does not exist", name);
}

static bool check_exists(enum kcm_kind kind, const char *name, struct failure *failure) {
    struct bytes value;
    if (!read_or_miss(kind, name, &value, failure)) {
        return false;
    }
    free(value.data);
    return true;
}

static bool check_bootstrap_mode(struct failure *failure) {
    struct bytes value;
    if (!read_or_miss(KCM_CONFIG, "mbed.UseBootstrap", &value, failure)) {
        return false;
    }
    bool good = value.size == 4 && memcmp(value.data, "\1\0\0", 4) == 0;
    free(value.data);
    return good || fail(failure, "Bootstrap mode value incorrect", "mbed.UseBootstrap");
}

static bool check_uri(struct failure *failure) {
    static const char item[] = "mbed.BootstrapServerURI";
    struct bytes uri;
    if (!read_item(KCM_CONFIG, item, &uri, failure)) {
        return false;
    }
    const char *text = (const char *)uri.data;
    bool empty = uri.size == 0;
    bool good = (strncmp(text, "coap://", 7) == 0 || strncmp(text, "coaps://", 8) == 0) &&
                (memmem(text, uri.size, "?aid=", 5) != NULL || memmem(text, uri.size, "&aid=", 5) != NULL);
    free(uri.data);
    return empty ? fail(failure, "Item empty", item) : good || fail(failure, "URI format incorrect", item);
}

static bool check_size(const char *item, size_t size, struct failure *failure) {
    struct bytes value;
    enum kcm_result result = kcm_read(KCM_CONFIG, item, &value);
    if (result != KCM_OK) {
        // Update items are checked only if they are there.
        return result == KCM_NOT_FOUND || fail(failure, "General error", item);
    }
    free(value.data);
    return value.size == size || fail(failure, "Item size is wrong", item);
}

static bool is_past(const mbedtls_x509_time *end, time_t now) {
    struct tm last = {.tm_year = end->year - 1900, .tm_mon = end->mon - 1, .tm_mday = end->day,
                      .tm_hour = end->hour, .tm_min = end->min, .tm_sec = end->sec};
    return now != 0 && timegm(&last) < now;
}

static bool common_name_is(const mbedtls_x509_name *subject, const struct bytes *name) {
    for (; subject != NULL; subject = subject->next) {
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &subject->oid) == 0) {
            return subject->val.len == name->size && memcmp(subject->val.p, name->data, name->size) == 0;
        }
    }
    return false;
}

static bool check_device_certificate(const struct bytes *name, const struct bytes *key_data, time_t now,
                                     struct failure *failure) {
    static const char item[] = "mbed.BootstrapDeviceCert";
    struct bytes data;
    if (!read_item(KCM_CERTIFICATE, item, &data, failure)) {
        return false;
    }
    kcm_need_random();
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    bool good = true;
    if (mbedtls_x509_crt_parse_der(&certificate, data.data, data.size) != 0) {
        good = fail(failure, "Certificate parse failed", item);
    } else if (parse_private_key(&key, key_data->data, key_data->size) != 0 || !is_pair(&certificate.pk, &key)) {
        good = fail(failure, "Certificate public key validation failed", item);
    } else if (mbedtls_x509_crt_check_extended_key_usage(&certificate, MBEDTLS_OID_CLIENT_AUTH,
                                                         MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0) {
        good = fail(failure, "Certificate invalid", item);
    } else if (!common_name_is(&certificate.subject, name)) {
        good = fail(failure, "Certificate CN attribute invalid", item);
    } else if (is_past(&certificate.valid_to, now)) {
        good = fail(failure, "Certificate expired", item);
    }
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&certificate);
    free(data.data);
    return good;
}

static bool check_update_certificate(time_t now, struct failure *failure) {
    static const char item[] = "mbed.UpdateAuthCert";
    struct bytes data;
    enum kcm_result result = kcm_read(KCM_CERTIFICATE, item, &data);
    if (result != KCM_OK) {
        return result == KCM_NOT_FOUND || fail(failure, "General error", item);
    }
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    bool good = true;
    if (mbedtls_x509_crt_parse_der(&certificate, data.data, data.size) != 0) {
        good = fail(failure, "Certificate parse failed", item);
    } else if (is_past(&certificate.valid_to, now)) {
        good = fail(failure, "Certificate expired", item);
    }
    mbedtls_x509_crt_free(&certificate);
    free(data.data);
    return good;
}

bool is_configured(time_t now, struct failure *failure) {
    static const char *const metadata[] = {"mbed.Manufacturer",    "mbed.ModelNumber",   "mbed.DeviceType",
                                           "mbed.HardwareVersion", "mbed.MemoryTotalKB", "mbed.SerialNumber"};
    struct bytes name = {0}, key = {0};
    bool good = check_bootstrap_mode(failure) && read_or_miss(KCM_CONFIG, "mbed.EndpointName", &name, failure) &&
                (name.size > 0 || fail(failure, "Item empty", "mbed.EndpointName"));
    for (size_t i = 0; good && i < sizeof metadata / sizeof *metadata; i++) {
        good = check_exists(KCM_CONFIG, metadata[i], failure);
    }
    good = good && check_exists(KCM_CERTIFICATE, "mbed.BootstrapServerCACert", failure) && check_uri(failure) &&
           read_item(KCM_PRIVATE_KEY, "mbed.BootstrapDevicePrivateKey", &key, failure) &&
           check_device_certificate(&name, &key, now, failure) && check_update_certificate(now, failure) &&
           check_size("mbed.ClassId", 16, failure) && check_size("mbed.VendorId", 16, failure);
    free(name.data);
    free(key.data);
    return good;
}
