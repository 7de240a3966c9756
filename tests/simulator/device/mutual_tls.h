// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// One exchange of JSON lines over TLS in which both ends show a certificate. The lab's stand-in for LwM2M, which runs
// over CoAP and DTLS or TLS.
#pragma once

#include "kcm.h"

enum { FAULT_SIZE = 512 };

struct identity {
    struct bytes ca;          // of the server
    struct bytes certificate; // all three DER
    struct bytes private_key;
};

enum exchange_result { EXCHANGE_OK, EXCHANGE_NO_ADDRESS, EXCHANGE_NO_NETWORK, EXCHANGE_NOT_SECURE };

// Send LINE to the host of URI (coaps://HOST[:PORT]?...) and receive one line, without its newline. Fault says what
// went wrong, in words for a log.
enum exchange_result exchange_line(const char *uri, const struct identity *identity, const char *line,
                                   struct bytes *answer, char fault[FAULT_SIZE]);
