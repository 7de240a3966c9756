// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// What Arm's clients say to an update manifest: observed of mbed-cloud-client 3.0.0 and 4.1.0, which were given about 160
// of them. That of 2.0.1 is known from its source only.
#pragma once

#include "kcm.h"

enum client { CLIENT_2_0_1, CLIENT_3_0_0, CLIENT_4_1_0 };

// What a board judges by. A size of 0: it does not have that.
struct board_facts {
    enum client client;
    struct bytes certificate, vendor, class_id;
    uint64_t active_version; // the timestamp of the installed manifest, 0 if there never was one
};

enum { NO_RESULT = -1 };

struct verdict {
    bool processed; // it came so far that state 2 is reported
    bool accepted;  // it would be fetched and installed
    int result;     // of resource /10252/0/3
    const char *error; // MblError's name of it, NULL when nothing is logged; its number
    int error_code;
    uint64_t version; // its timestamp, as far as it was read
};

void judge_manifest(const uint8_t *data, size_t size, const struct board_facts *facts, struct verdict *verdict);
