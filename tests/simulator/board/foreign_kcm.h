// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// The storage of a utility that is not the lab's own: what it encrypted, only the lab can tell, which saw what the
// utility was given (`lab up --util`). The lab is asked through a socket, for the value of a file of which the
// SHA-256 is DIGEST, or told one.
#pragma once

#include "kcm.h"

// Whether the board's utility is another one. Then a storage is that one's to make.
bool foreign_utility(void);

bool foreign_value(const uint8_t digest[32], struct bytes *value);
bool foreign_keep(const uint8_t digest[32], const void *value, size_t size);
