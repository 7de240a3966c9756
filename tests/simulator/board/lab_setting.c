// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "lab_setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lab_word(const char *name, char word[SETTING_SIZE]) {
    char path[64];
    snprintf(path, sizeof path, "/etc/lab/%s", name);
    FILE *file = fopen(path, "re");
    word[0] = 0;
    if (file != NULL) {
        if (fscanf(file, "%31s", word) != 1) {
            word[0] = 0;
        }
        fclose(file);
    }
}

bool lab_word_is(const char *name, const char *word) {
    char found[SETTING_SIZE];
    lab_word(name, found);
    return strcmp(found, word) == 0;
}

uint64_t lab_number(const char *name) {
    char word[SETTING_SIZE];
    lab_word(name, word);
    return strtoull(word, NULL, 10);
}

double lab_factor(const char *name) {
    char word[SETTING_SIZE], *end;
    lab_word(name, word);
    double factor = strtod(word, &end);
    return end == word ? 1 : factor;
}
