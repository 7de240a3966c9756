// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// What the lab tells its stand-ins, each setting in a file of /etc/lab: README.md has them all.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SETTING_SIZE = 32 };

// The first word of a setting, empty when there is none.
void lab_word(const char *name, char word[SETTING_SIZE]);

bool lab_word_is(const char *name, const char *word);
uint64_t lab_number(const char *name); // 0 when there is none
double lab_factor(const char *name);   // 1 when there is none
