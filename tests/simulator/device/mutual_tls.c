// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "mutual_tls.h"

#include <errno.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "configured.h"

enum { TIMEOUT_SECONDS = 30, LONGEST_ANSWER = 1 << 20 };

static void split_uri(const char *uri, char host[256], char port[6]) {
    const char *start = strstr(uri, "://");
    start = start == NULL ? uri : start + 3;
    size_t size = strcspn(start, ":/?");
    snprintf(host, 256, "%.*s", (int)size, start);
    const char *digits = start[size] == ':' ? start + size + 1 : "5684";
    snprintf(port, 6, "%.*s", (int)strspn(digits, "0123456789"), digits);
}

// /etc/hosts can't name the scope of a link-local address: it is that of the board's only network.
static void complete_scope(struct addrinfo *address) {
    struct sockaddr_in6 *place = (struct sockaddr_in6 *)address->ai_addr;
    if (address->ai_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&place->sin6_addr) && place->sin6_scope_id == 0) {
        place->sin6_scope_id = if_nametoindex("eth0");
    }
}

static enum exchange_result connect_to(const char *host, const char *port, int *peer, char fault[FAULT_SIZE]) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *addresses;
    int error = getaddrinfo(host, port, &hints, &addresses);
    if (error != 0) {
        snprintf(fault, FAULT_SIZE, "%s: %s", host, gai_strerror(error));
        return EXCHANGE_NO_ADDRESS;
    }
    *peer = -1;
    for (struct addrinfo *address = addresses; *peer < 0 && address != NULL; address = address->ai_next) {
        struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
        complete_scope(address);
        int candidate = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
        setsockopt(candidate, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        setsockopt(candidate, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
        if (connect(candidate, address->ai_addr, address->ai_addrlen) == 0) {
            *peer = candidate;
        } else {
            snprintf(fault, FAULT_SIZE, "%s port %s: %s", host, port, strerror(errno));
            close(candidate);
        }
    }
    freeaddrinfo(addresses);
    return *peer < 0 ? EXCHANGE_NO_NETWORK : EXCHANGE_OK;
}

struct tls {
    mbedtls_ssl_config config;
    mbedtls_ssl_context session;
    mbedtls_x509_crt ca, certificate;
    mbedtls_pk_context private_key;
    mbedtls_net_context peer;
};

static int configure(struct tls *tls, const struct identity *identity, const char *host) {
    int error = mbedtls_x509_crt_parse_der(&tls->ca, identity->ca.data, identity->ca.size);
    if (error == 0) {
        error = mbedtls_x509_crt_parse_der(&tls->certificate, identity->certificate.data, identity->certificate.size);
    }
    if (error == 0) {
        error = parse_private_key(&tls->private_key, identity->private_key.data, identity->private_key.size);
    }
    if (error == 0) {
        error = mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                            MBEDTLS_SSL_PRESET_DEFAULT);
    }
    if (error != 0) {
        return error;
    }
#if MBEDTLS_VERSION_MAJOR < 3
    mbedtls_ssl_conf_min_version(&tls->config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#else
    mbedtls_ssl_conf_min_tls_version(&tls->config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(&tls->config, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
    mbedtls_ssl_conf_authmode(&tls->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&tls->config, &tls->ca, NULL);
    mbedtls_ssl_conf_rng(&tls->config, kcm_random, NULL);
    error = mbedtls_ssl_conf_own_cert(&tls->config, &tls->certificate, &tls->private_key);
    if (error == 0) {
        error = mbedtls_ssl_setup(&tls->session, &tls->config);
    }
    return error != 0 ? error : mbedtls_ssl_set_hostname(&tls->session, host);
}

static int send_line(struct tls *tls, const char *line) {
    size_t size = strlen(line);
    while (size > 0) {
        int sent = mbedtls_ssl_write(&tls->session, (const unsigned char *)line, size);
        if (sent <= 0) {
            return sent;
        }
        line += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int receive_line(struct tls *tls, struct bytes *answer) {
    answer->data = allocate(LONGEST_ANSWER);
    answer->size = 0;
    char *end = NULL;
    int got = 1;
    while (end == NULL && got > 0 && answer->size < LONGEST_ANSWER) {
        got = mbedtls_ssl_read(&tls->session, answer->data + answer->size, LONGEST_ANSWER - answer->size);
        if (got > 0) {
            end = memchr(answer->data + answer->size, '\n', (size_t)got);
            answer->size += (size_t)got;
        }
    }
    if (end == NULL) {
        free(answer->data);
        return got < 0 ? got : MBEDTLS_ERR_SSL_CONN_EOF;
    }
    *end = 0;
    answer->size = (size_t)(end - (char *)answer->data);
    return 0;
}

enum exchange_result exchange_line(const char *uri, const struct identity *identity, const char *line,
                                   struct bytes *answer, char fault[FAULT_SIZE]) {
    char host[256], port[6];
    int peer;
    split_uri(uri, host, port);
    enum exchange_result result = connect_to(host, port, &peer, fault);
    if (result != EXCHANGE_OK) {
        return result;
    }
    struct tls tls;
    mbedtls_ssl_config_init(&tls.config);
    mbedtls_ssl_init(&tls.session);
    mbedtls_x509_crt_init(&tls.ca);
    mbedtls_x509_crt_init(&tls.certificate);
    mbedtls_pk_init(&tls.private_key);
    mbedtls_net_init(&tls.peer);
    tls.peer.fd = peer;
    int error = configure(&tls, identity, host);
    if (error == 0) {
        mbedtls_ssl_set_bio(&tls.session, &tls.peer, mbedtls_net_send, mbedtls_net_recv, NULL);
        error = mbedtls_ssl_handshake(&tls.session);
    }
    if (error == 0) {
        error = send_line(&tls, line);
    }
    if (error == 0) {
        error = receive_line(&tls, answer);
    }
    if (error == 0) {
        mbedtls_ssl_close_notify(&tls.session);
    } else {
        mbedtls_strerror(error, fault, FAULT_SIZE);
    }
    mbedtls_net_free(&tls.peer);
    mbedtls_pk_free(&tls.private_key);
    mbedtls_x509_crt_free(&tls.certificate);
    mbedtls_x509_crt_free(&tls.ca);
    mbedtls_ssl_free(&tls.session);
    mbedtls_ssl_config_free(&tls.config);
    return error == 0 ? EXCHANGE_OK : EXCHANGE_NOT_SECURE;
}
