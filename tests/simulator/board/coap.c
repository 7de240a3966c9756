// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "coap.h"

#include <string.h>

// A nibble of 13 or 14 says that 1 or 2 bytes follow, with what is above 12 or above 268.
static bool read_length(const uint8_t **place, const uint8_t *end, unsigned nibble, unsigned *length) {
    if (nibble < 13) {
        *length = nibble;
        return true;
    }
    ptrdiff_t size = nibble - 12;
    if (nibble == 15 || end - *place < size) {
        return false;
    }
    *length = size == 1 ? 13u + (*place)[0] : 269u + ((unsigned)(*place)[0] << 8 | (*place)[1]);
    *place += size;
    return true;
}

static uint32_t number_of(const uint8_t *value, size_t size) {
    uint32_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | value[i];
    }
    return number;
}

static bool read_option(struct coap_message *message, unsigned option, const uint8_t *value, size_t size) {
    size_t length = strlen(message->path);
    switch (option) {
    case COAP_LOCATION_PATH:
    case COAP_URI_PATH:
        if (length + 1 + size >= sizeof message->path || memchr(value, 0, size) != NULL) {
            return false;
        }
        if (length > 0) {
            message->path[length++] = '/';
        }
        memcpy(message->path + length, value, size);
        message->path[length + size] = 0;
        return true;
    case COAP_CONTENT_FORMAT:
        message->content_format = (int)number_of(value, size);
        return size <= 2;
    case COAP_BLOCK1:
        message->in_blocks = true;
        message->block = number_of(value, size);
        return size <= 3;
    default:
        return true;
    }
}

bool coap_read(const uint8_t *data, size_t size, struct coap_message *message) {
    const uint8_t *place = data + 4, *end = data + size;
    memset(message, 0, sizeof *message);
    message->content_format = -1;
    if (size < 4 || data[0] >> 6 != 1) {
        return false;
    }
    message->type = data[0] >> 4 & 3;
    message->code = data[1];
    message->id = (uint16_t)(data[2] << 8 | data[3]);
    message->token_size = data[0] & 15;
    if (message->token_size > COAP_LONGEST_TOKEN || (size_t)(end - place) < message->token_size) {
        return false;
    }
    memcpy(message->token, place, message->token_size);
    place += message->token_size;
    unsigned option = 0;
    while (place < end && *place != 0xff) {
        unsigned delta = *place >> 4, length = *place & 15;
        place++;
        if (!read_length(&place, end, delta, &delta) || !read_length(&place, end, length, &length) ||
            (size_t)(end - place) < length) {
            return false;
        }
        option += delta;
        if (!read_option(message, option, place, length)) {
            return false;
        }
        place += length;
    }
    if (place < end) {
        message->payload = ++place;
        message->payload_size = (size_t)(end - place);
    }
    return true;
}

static void append(struct coap_draft *draft, const void *data, size_t size) {
    if (draft->size <= COAP_LONGEST && size <= COAP_LONGEST - draft->size) {
        memcpy(draft->data + draft->size, data, size);
        draft->size += size;
    } else {
        draft->size = COAP_LONGEST + 1;
    }
}

void coap_begin(struct coap_draft *draft, enum coap_type type, uint8_t code, uint16_t id, const void *token,
                size_t token_size) {
    uint8_t head[] = {(uint8_t)(1 << 6 | type << 4 | token_size), code, (uint8_t)(id >> 8), (uint8_t)id};
    draft->size = 0;
    draft->last_option = 0;
    append(draft, head, sizeof head);
    append(draft, token, token_size);
}

static unsigned write_length(size_t length, uint8_t *extension, size_t *size) {
    if (length < 13) {
        return (unsigned)length;
    }
    if (length < 269) {
        extension[(*size)++] = (uint8_t)(length - 13);
        return 13;
    }
    extension[(*size)++] = (uint8_t)((length - 269) >> 8);
    extension[(*size)++] = (uint8_t)(length - 269);
    return 14;
}

void coap_add(struct coap_draft *draft, enum coap_option option, const void *value, size_t size) {
    uint8_t head[5];
    size_t head_size = 1;
    unsigned delta = write_length(option - draft->last_option, head, &head_size);
    unsigned length = write_length(size, head, &head_size);
    head[0] = (uint8_t)(delta << 4 | length);
    draft->last_option = option;
    append(draft, head, head_size);
    append(draft, value, size);
}

void coap_add_number(struct coap_draft *draft, enum coap_option option, uint32_t value) {
    uint8_t bytes[4];
    size_t size = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        if (value >> shift != 0) {
            bytes[size++] = (uint8_t)(value >> shift);
        }
    }
    coap_add(draft, option, bytes, size);
}

void coap_add_path(struct coap_draft *draft, const char *path) {
    while (*path != 0) {
        size_t size = strcspn(path, "/");
        coap_add(draft, COAP_URI_PATH, path, size);
        path += size + (path[size] == '/');
    }
}

void coap_add_payload(struct coap_draft *draft, const void *payload, size_t size) {
    if (size > 0) {
        append(draft, "\xff", 1);
        append(draft, payload, size);
    }
}
