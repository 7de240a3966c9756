// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "foreign_kcm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// Where every board sees the socket of pelion_lab/learned_values.py.
#define SOCKET "/run/lab/values"

static bool send_all(int peer, const void *data, size_t size) {
    const uint8_t *rest = data;
    while (size > 0) {
        ssize_t sent = send(peer, rest, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        rest += sent;
        size -= (size_t)sent;
    }
    return true;
}

// One exchange: a letter, the digest, for K(eep) the value; then the answer: 1 byte for yes, then the value.
static bool exchange(char request, const uint8_t digest[32], const void *value, size_t size, struct bytes *answer) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
    int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = connect(peer, (struct sockaddr *)&address, sizeof address) == 0 && send_all(peer, &request, 1) &&
               send_all(peer, digest, 32) && send_all(peer, value, size) && shutdown(peer, SHUT_WR) == 0;
    uint8_t first = 0;
    yes = yes && recv(peer, &first, 1, 0) == 1 && first == 1;
    answer->size = 0;
    answer->data = allocate(0);
    for (size_t room = 0; yes;) {
        if (answer->size == room) {
            room += 4096;
            answer->data = realloc(answer->data, room + 1);
        }
        ssize_t got = recv(peer, answer->data + answer->size, room - answer->size, 0);
        if (got <= 0) {
            break;
        }
        answer->size += (size_t)got;
    }
    close(peer);
    answer->data[answer->size] = 0;
    if (!yes) {
        free(answer->data);
        answer->data = NULL;
    }
    return yes;
}

bool foreign_utility(void) { return access(SOCKET, F_OK) == 0; }

bool foreign_value(const uint8_t digest[32], struct bytes *value) { return exchange('T', digest, NULL, 0, value); }

bool foreign_keep(const uint8_t digest[32], const void *value, size_t size) {
    struct bytes answer;
    bool kept = exchange('K', digest, value, size, &answer);
    if (kept) {
        free(answer.data);
    }
    return kept;
}
