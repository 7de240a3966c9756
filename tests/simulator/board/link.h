// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A TLS connection in which both ends show a certificate. Of its records, each is one message.
//
// As in Arm's client: it offers one cipher suite, does not say which host it wants nor look whom it met beyond the CA,
// and has a clock of its own, which it sets by a server whose certificate begins later.
#pragma once

#include <time.h>

#include "kcm.h"

struct identity {
    struct bytes ca;          // of the server
    struct bytes certificate; // all three DER
    struct bytes private_key;
};

enum link_result {
    LINK_OK,
    LINK_STOPPED, // this process was asked to end, see link_wait
    LINK_NO_ADDRESS,
    LINK_NO_NETWORK, // not reached, or broken
    LINK_SILENT,     // for too long
    LINK_NOT_SECURE, // the handshake failed
    LINK_CLOSED,     // by the server, in order
};

enum { LONGEST_RECORD = 16384 };

struct link;

// To be called before any other: from then on SIGTERM ends waiting only.
void link_prepare(void);

// Connect to the host of URI (coaps://HOST[:PORT]?...). SESSION, if it has data, is resumed when the server knows it.
enum link_result link_open(struct link **link, const char *uri, const struct identity *identity,
                           const struct bytes *session);
void link_close(struct link *link);

// The session, to be resumed later; without data when there is none.
struct bytes link_session(const struct link *link);

enum link_result link_send(struct link *link, const void *message, size_t size);
// At most LONGEST_RECORD bytes, for which it waits so many SECONDS.
enum link_result link_receive(struct link *link, uint8_t *message, size_t *size, double seconds);

// LINK_OK when the time is over.
enum link_result link_wait(double seconds);

// By the clock that servers set; near 0 when none ever did.
time_t link_time(void);
