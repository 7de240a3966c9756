// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A device's side of LwM2M: bootstrap and registration, with what the KCM holds and what is kept in it.
#pragma once

#include "link.h"

enum lwm2m_result {
    LWM2M_OK,
    LWM2M_STOPPED,
    LWM2M_NO_ADDRESS,
    LWM2M_NO_NETWORK,
    LWM2M_NOT_SECURE,
    LWM2M_REFUSED,
    LWM2M_UNREADABLE, // an item of the KCM
    LWM2M_NOT_STORED,
};

enum { REASON_SIZE = 512, NAME_SIZE = 128 };

bool lwm2m_is_bootstrapped(void);

// Get the credentials of a LwM2M server. REASON is set when the result is LWM2M_REFUSED.
enum lwm2m_result lwm2m_bootstrap(char reason[REASON_SIZE]);

// Forget them. The identity stays: with it the board keeps its device id.
void lwm2m_forget(void);

struct registration {
    struct link *link;
    char account[NAME_SIZE], endpoint_name[NAME_SIZE], location[256];
    const char *device_id; // the end of the location
    bool updated;          // an earlier one was found to be in force
};

// Connect and register; if there is a location from before, update that one, if the server still knows it.
enum lwm2m_result lwm2m_register(struct registration *registration);
// Stay registered for as long as it goes, or until told to end, which is an orderly end.
enum lwm2m_result lwm2m_stay(struct registration *registration);
