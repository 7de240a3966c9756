// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A client's resources for updates, /10252 and /10255: it tells the server what is in them, and takes manifests.
#pragma once

#include <stdio.h>

#include "coap.h"
#include "link.h"
#include "manifest.h"

// To be called once, before any other.
void updates_prepare(void);

// As the registration says it: "4.1.0".
const char *updates_client_version(void);

// The links of both objects for the registration, each with a comma before it.
void updates_write_links(FILE *links);

// From now on, all goes over LINK, with message ids after NEXT_ID.
void updates_connected(struct link *link, uint16_t *next_id);

// Heed a message that came over LINK. False when it is not for these resources; then RESULT is as it was.
bool updates_take(const struct link *link, const struct coap_message *message, enum link_result *result);

// Seconds after which updates_resend is to be called; negative: no need.
double updates_wait(void);
enum link_result updates_resend(void);
