// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// Whether a board is configured for the cloud, as the factory configurator client (fcc) of mbed-cloud-client 4.1
// decides it: by what its KCM holds, never by asking the cloud.
#pragma once

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <time.h>

struct failure {
    const char *text; // fcc's words, such as "Item does not exist"
    const char *item; // such as "mbed.EndpointName"
};

// NOW in seconds since 1970, or 0 when the time is not known; then nothing has expired. The first failure wins.
bool is_configured(time_t now, struct failure *failure);

int parse_private_key(mbedtls_pk_context *key, const unsigned char *data, size_t size);
mbedtls_ecp_group_id curve_of(const mbedtls_pk_context *key); // MBEDTLS_ECP_DP_NONE for a key without curve
