// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// CoAP messages (RFC 7252), as far as LwM2M's bootstrap, registration and notifications need them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum coap_type { COAP_CON, COAP_NON, COAP_ACK, COAP_RST };

// Class and detail, such as 4.03.
#define COAP_CODE(class, detail) ((class) << 5 | (detail))
enum {
    COAP_EMPTY = 0,
    COAP_POST = 2,
    COAP_PUT = 3,
    COAP_DELETE = 4,
    COAP_CREATED = COAP_CODE(2, 1),
    COAP_DELETED = COAP_CODE(2, 2),
    COAP_CHANGED = COAP_CODE(2, 4),
    COAP_CONTENT = COAP_CODE(2, 5),
    COAP_CONTINUE = COAP_CODE(2, 31),
    COAP_BAD_REQUEST = COAP_CODE(4, 0),
    COAP_FORBIDDEN = COAP_CODE(4, 3),
    COAP_NOT_FOUND = COAP_CODE(4, 4),
    COAP_METHOD_NOT_ALLOWED = COAP_CODE(4, 5),
    COAP_PRECONDITION_FAILED = COAP_CODE(4, 12),
    COAP_TOO_LARGE = COAP_CODE(4, 13),
};
enum coap_option {
    COAP_OBSERVE = 6, // RFC 7641
    COAP_LOCATION_PATH = 8,
    COAP_URI_PATH = 11,
    COAP_CONTENT_FORMAT = 12,
    COAP_MAX_AGE = 14,
    COAP_URI_QUERY = 15,
    COAP_BLOCK1 = 27, // RFC 7959: the block's number, 1 bit for "more follow", 3 bits of size
};

enum { COAP_LONGEST = 2048, COAP_TOKEN = 4, COAP_LONGEST_TOKEN = 8 };

struct coap_message {
    uint8_t type, code;
    uint16_t id;
    uint8_t token[COAP_LONGEST_TOKEN];
    size_t token_size;
    char path[256]; // of a request, or the location in a response; segments are parted by /
    int content_format; // -1: not told
    bool in_blocks;
    uint32_t block;
    const uint8_t *payload; // within the data that was read
    size_t payload_size;
};

// False when DATA is no message.
bool coap_read(const uint8_t *data, size_t size, struct coap_message *message);

// A message that is being written. Options must be added in the order of their numbers, and the payload last.
struct coap_draft {
    uint8_t data[COAP_LONGEST];
    size_t size; // more than COAP_LONGEST: it did not fit
    unsigned last_option;
};

void coap_begin(struct coap_draft *draft, enum coap_type type, uint8_t code, uint16_t id, const void *token,
                size_t token_size);
void coap_add(struct coap_draft *draft, enum coap_option option, const void *value, size_t size);
void coap_add_number(struct coap_draft *draft, enum coap_option option, uint32_t value);
void coap_add_path(struct coap_draft *draft, const char *path);
void coap_add_payload(struct coap_draft *draft, const void *payload, size_t size);
