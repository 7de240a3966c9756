// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "manifest.h"

#include <mbedtls/asn1.h>
#include <mbedtls/md.h>
#include <mbedtls/x509_crt.h>
#include <string.h>

// In bytes. Where exactly the clients' limits lie is not known: 640 were taken by both, 700 refused by 4.1.0, 1010 by
// both.
enum { LONGEST_FOR_4_1_0 = 640, LONGEST = 1000 };
enum { DIGEST_SIZE = 32, ID_SIZE = 16 };

struct part {
    const uint8_t *data;
    size_t size;
};

struct manifest {
    struct part resource, digest, signatures;
    struct part vendor, class_id, device, uri;
    uint64_t kind, version, encryption, format, size, timestamp;
    bool firmware;
};

// --- DER

struct reader {
    uint8_t *place, *end;
};

static bool next(struct reader *reader, int tag, struct reader *inside) {
    size_t size;
    if (mbedtls_asn1_get_tag(&reader->place, reader->end, &size, tag) != 0) {
        return false;
    }
    *inside = (struct reader){reader->place, reader->place + size};
    reader->place += size;
    return true;
}

static bool next_sequence(struct reader *reader, struct reader *inside) {
    return next(reader, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, inside);
}

static bool next_part(struct reader *reader, int tag, struct part *part) {
    struct reader inside;
    if (!next(reader, tag, &inside)) {
        return false;
    }
    *part = (struct part){inside.place, (size_t)(inside.end - inside.place)};
    return true;
}

static bool next_number(struct reader *reader, int tag, uint64_t *number) {
    struct part part;
    if (!next_part(reader, tag, &part) || part.size == 0 || part.size > 9 || (part.size == 9 && part.data[0] != 0)) {
        return false;
    }
    *number = 0;
    for (size_t i = 0; i < part.size; i++) {
        *number = *number << 8 | part.data[i];
    }
    return true;
}

static bool is_next(const struct reader *reader, int tag) { return reader->place < reader->end && *reader->place == tag; }

static bool read_payload(struct reader *fields, struct manifest *manifest) {
    struct reader payload, firmware;
    struct part unused;
    return next_sequence(fields, &payload) && next_number(&payload, MBEDTLS_ASN1_ENUMERATED, &manifest->format) &&
           next_part(&payload, MBEDTLS_ASN1_UTF8_STRING, &unused) && next_sequence(&payload, &firmware) &&
           next_part(&firmware, MBEDTLS_ASN1_OCTET_STRING, &unused) &&
           next_part(&firmware, MBEDTLS_ASN1_UTF8_STRING, &manifest->uri) &&
           next_number(&firmware, MBEDTLS_ASN1_INTEGER, &manifest->size);
}

static bool read_fields(struct reader *fields, struct manifest *manifest) {
    static const int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    struct reader unused;
    struct part ignored;
    if (!next_number(fields, MBEDTLS_ASN1_ENUMERATED, &manifest->version) ||
        !next_number(fields, MBEDTLS_ASN1_INTEGER, &manifest->timestamp) ||
        !next_part(fields, MBEDTLS_ASN1_OCTET_STRING, &manifest->vendor) ||
        !next_part(fields, MBEDTLS_ASN1_OCTET_STRING, &manifest->class_id) ||
        !next_part(fields, MBEDTLS_ASN1_OCTET_STRING, &manifest->device) ||
        !next_part(fields, MBEDTLS_ASN1_OCTET_STRING, &ignored) ||
        !next_part(fields, MBEDTLS_ASN1_OCTET_STRING, &ignored)) {
        return false;
    }
    if (is_next(fields, sequence) && !next_sequence(fields, &unused)) { // validity, which is not looked at
        return false;
    }
    if (!next_part(fields, MBEDTLS_ASN1_BOOLEAN, &ignored)) {
        return false;
    }
    if (is_next(fields, MBEDTLS_ASN1_INTEGER) && !next_part(fields, MBEDTLS_ASN1_INTEGER, &ignored)) { // priority
        return false;
    }
    return next_number(fields, MBEDTLS_ASN1_ENUMERATED, &manifest->encryption) && next_sequence(fields, &unused) &&
           next_sequence(fields, &unused) && read_payload(fields, manifest);
}

static bool read_manifest(const uint8_t *data, size_t size, struct manifest *manifest) {
    struct reader all = {(uint8_t *)data, (uint8_t *)data + size}, whole, resource, fields, signature;
    if (!next_sequence(&all, &whole) || all.place != all.end) {
        return false;
    }
    manifest->resource.data = whole.place;
    if (!next_sequence(&whole, &resource)) {
        return false;
    }
    manifest->resource.size = (size_t)(whole.place - manifest->resource.data);
    return next_number(&resource, MBEDTLS_ASN1_ENUMERATED, &manifest->kind) && next_sequence(&resource, &fields) &&
           read_fields(&fields, manifest) && next_sequence(&whole, &signature) &&
           next_part(&signature, MBEDTLS_ASN1_OCTET_STRING, &manifest->digest) &&
           next_part(&signature, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, &manifest->signatures);
}

// --- what is wrong with it

static void say(struct verdict *verdict, int result, const char *error, int code) {
    verdict->result = result;
    verdict->error = error;
    verdict->error_code = code;
}

static void say_unknown(struct verdict *verdict, int result) { say(verdict, result, "Unknown", 1); }

static void sha256(const void *data, size_t size, uint8_t digest[DIGEST_SIZE]) {
    mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), data, size, digest);
}

static bool equal(const struct part *part, const void *data, size_t size) {
    return part->size == size && memcmp(part->data, data, size) == 0;
}

static bool signed_by(const struct bytes *certificate, const uint8_t digest[DIGEST_SIZE], const struct part *signature) {
    mbedtls_x509_crt parsed;
    mbedtls_x509_crt_init(&parsed);
    bool good = mbedtls_x509_crt_parse_der(&parsed, certificate->data, certificate->size) == 0 &&
                mbedtls_pk_verify(&parsed.pk, MBEDTLS_MD_SHA256, digest, DIGEST_SIZE, signature->data,
                                  signature->size) == 0;
    mbedtls_x509_crt_free(&parsed);
    return good;
}

// All signatures must hold.
static bool is_signed(const struct manifest *manifest, const struct board_facts *facts, struct verdict *verdict) {
    uint8_t digest[DIGEST_SIZE], fingerprint[DIGEST_SIZE];
    sha256(manifest->resource.data, manifest->resource.size, digest);
    if (!equal(&manifest->digest, digest, sizeof digest)) {
        say(verdict, 207, "UpdateWarningSignatureInvalid", 515);
        return false;
    }
    sha256(facts->certificate.data, facts->certificate.size, fingerprint);
    struct reader list = {(uint8_t *)manifest->signatures.data,
                          (uint8_t *)manifest->signatures.data + manifest->signatures.size};
    if (list.place == list.end) {
        if (facts->client == CLIENT_4_1_0) {
            say_unknown(verdict, 218);
        } else {
            say(verdict, 210, "UpdateWarningSignatureInvalid", 515);
        }
        return false;
    }
    while (list.place < list.end) {
        struct reader one, certificates, certificate;
        struct part signature, named;
        if (!next_sequence(&list, &one) || !next_part(&one, MBEDTLS_ASN1_OCTET_STRING, &signature) ||
            !next_sequence(&one, &certificates) || !next_sequence(&certificates, &certificate) ||
            !next_part(&certificate, MBEDTLS_ASN1_OCTET_STRING, &named)) {
            say_unknown(verdict, 218);
            return false;
        }
        if (facts->certificate.size == 0 || !equal(&named, fingerprint, sizeof fingerprint)) {
            say(verdict, 208, "UpdateWarningCertificateNotFound", 512);
            return false;
        }
        if (!signed_by(&facts->certificate, digest, &signature)) {
            say(verdict, 210, "UpdateWarningSignatureInvalid", 515);
            return false;
        }
    }
    return true;
}

static bool is_for_board(const struct manifest *manifest, const struct board_facts *facts, struct verdict *verdict) {
    if (!equal(&manifest->vendor, facts->vendor.data, facts->vendor.size)) {
        say(verdict, 215, "UpdateWarningVendorMismatch", 516);
    } else if (manifest->class_id.size != 0 && !equal(&manifest->class_id, facts->class_id.data, facts->class_id.size)) {
        say(verdict, 216, "UpdateWarningClassMismatch", 517);
    } else if (manifest->device.size != 0) {
        say(verdict, 200, "UpdateWarningIdentityNotFound", 513); // no board's id fits
    } else {
        return true;
    }
    return false;
}

static bool has_colon_slashes(const struct part *uri) {
    for (size_t i = 1; i + 3 <= uri->size; i++) {
        if (memcmp(uri->data + i, "://", 3) == 0) {
            return true;
        }
    }
    return false;
}

// Those of http: and coaps: only.
static bool is_fetchable(const struct part *uri) {
    return has_colon_slashes(uri) && (uri->size < 6 || memcmp(uri->data, "https:", 6) != 0);
}

static void judge(const uint8_t *data, size_t size, const struct board_facts *facts, struct verdict *verdict) {
    static const enum client new = CLIENT_4_1_0;
    struct manifest manifest = {0};
    if (size == 0) {
        return;
    }
    if (size > LONGEST) {
        return say_unknown(verdict, 218);
    }
    if (facts->client == new && size > LONGEST_FOR_4_1_0) {
        return say_unknown(verdict, 103);
    }
    bool read = read_manifest(data, size, &manifest);
    verdict->version = manifest.timestamp;
    if (!read || manifest.kind != 0) {
        return say_unknown(verdict, 218);
    }
    if (manifest.version != 1 && (facts->client == new || manifest.version != 2)) {
        return say_unknown(verdict, 214);
    }
    if (manifest.encryption < 1 || manifest.encryption > 3) {
        return say_unknown(verdict, 219);
    }
    if (!is_signed(&manifest, facts, verdict) || !is_for_board(&manifest, facts, verdict)) {
        return;
    }
    bool known_format = manifest.format == 1 || manifest.format == 5;
    if (facts->client == new && !known_format) {
        return say_unknown(verdict, 218);
    }
    verdict->processed = true;
    if (manifest.encryption != 2) {
        return say_unknown(verdict, facts->client == new ? 218 : 103);
    }
    if (facts->client == new && manifest.size == 0) {
        return say_unknown(verdict, 200);
    }
    if (!known_format) {
        return; // and no result ever comes
    }
    if (manifest.timestamp <= facts->active_version) {
        return say(verdict, 221, "UpdateWarningRollbackProtection", 520);
    }
    if (manifest.uri.size == 0) {
        return say_unknown(verdict, 218);
    }
    if (!is_fetchable(&manifest.uri)) {
        return say(verdict, 307, "UpdateWarningURINotFound", 519);
    }
    verdict->accepted = true;
}

// The results of 2.0.1, which has fewer: 15 is also for what others have no number for.
static int early_result(int result) {
    switch (result) {
    case NO_RESULT:
        return NO_RESULT;
    case 207:
    case 210:
        return 7;
    case 208:
        return 6;
    case 200:
    case 215:
    case 216:
        return 13;
    default:
        return 15;
    }
}

void judge_manifest(const uint8_t *data, size_t size, const struct board_facts *facts, struct verdict *verdict) {
    *verdict = (struct verdict){.result = NO_RESULT};
    judge(data, size, facts, verdict);
    if (facts->client == CLIENT_2_0_1) {
        verdict->result = early_result(verdict->result);
    }
}
