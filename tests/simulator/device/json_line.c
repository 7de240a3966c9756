// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "json_line.h"

#include <mbedtls/base64.h>
#include <stdlib.h>
#include <string.h>

void json_begin(FILE *line, const char *request) { fprintf(line, "{\"request\": \"%s\"", request); }

void json_text(FILE *line, const char *name, const struct bytes *value) {
    fprintf(line, ", \"%s\": \"", name);
    for (size_t i = 0; i < value->size; i++) {
        uint8_t byte = value->data[i];
        if (byte < ' ' || byte == '"' || byte == '\\') {
            fprintf(line, "\\u%04x", byte);
        } else {
            fputc(byte, line);
        }
    }
    fputc('"', line);
}

void json_hexadecimal(FILE *line, const char *name, const struct bytes *value) {
    fprintf(line, ", \"%s\": \"", name);
    for (size_t i = 0; i < value->size; i++) {
        fprintf(line, "%02x", value->data[i]);
    }
    fputc('"', line);
}

void json_end(FILE *line) { fputs("}\n", line); }

bool json_get(const char *line, const char *name, struct bytes *value) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *place = strstr(line, key);
    if (place == NULL) {
        return false;
    }
    place += strlen(key);
    place += strspn(place, " :");
    if (*place != '"') {
        return false;
    }
    place++;
    value->data = allocate(strlen(place));
    value->size = 0;
    for (; *place != '"' && *place != 0; place++) {
        if (*place == '\\' && place[1] != 0) {
            place++;
        }
        value->data[value->size++] = (uint8_t)*place;
    }
    value->data[value->size] = 0;
    return true;
}

bool json_get_base64(const char *line, const char *name, struct bytes *value) {
    struct bytes text;
    if (!json_get(line, name, &text)) {
        return false;
    }
    value->data = allocate(text.size);
    bool good = mbedtls_base64_decode(value->data, text.size, &value->size, text.data, text.size) == 0;
    free(text.data);
    if (!good) {
        free(value->data);
    }
    return good;
}
