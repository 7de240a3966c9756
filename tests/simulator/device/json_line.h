// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// As much JSON as the lab's one-line messages need: an object of strings.
#pragma once

#include <stdio.h>

#include "kcm.h"

void json_begin(FILE *line, const char *request);
void json_text(FILE *line, const char *name, const struct bytes *value);
void json_hexadecimal(FILE *line, const char *name, const struct bytes *value);
void json_end(FILE *line);

// The string called NAME in LINE; false when there is none.
bool json_get(const char *line, const char *name, struct bytes *value);
bool json_get_base64(const char *line, const char *name, struct bytes *value);
