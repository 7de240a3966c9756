// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_log.h"
#include "configured.h"

enum { HANDSHAKE_SECONDS = 60, SEND_SECONDS = 30 };

static const int SUITES[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, 0};

struct link {
    mbedtls_ssl_config config;
    mbedtls_ssl_context session;
    mbedtls_x509_crt ca, certificate;
    mbedtls_pk_context private_key;
    mbedtls_net_context peer;
    time_t server_time, begin, end; // what the ServerHello said; validity of the server's certificate
};

// --- waiting

static volatile sig_atomic_t asked_to_end;
static sigset_t while_waiting;

static void note_signal(int number) { asked_to_end = number; }

void link_prepare(void) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &while_waiting);
    sigdelset(&while_waiting, SIGTERM);
    struct sigaction action = {.sa_handler = note_signal};
    sigaction(SIGTERM, &action, NULL);
    // It ends this process, as it did Arm's client. Who starts it may have it ignored.
    signal(SIGPIPE, SIG_DFL);
}

static double monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Until EVENTS happen on FILE; LINK_SILENT when DEADLINE passes before.
static enum link_result wait_for(int file, short events, double deadline) {
    log_flush();
    struct pollfd one = {.fd = file, .events = events};
    for (;;) {
        double rest = deadline - monotonic();
        rest = rest > 0 ? rest : 0;
        struct timespec timeout = {.tv_sec = (time_t)rest, .tv_nsec = (long)((rest - (double)(time_t)rest) * 1e9)};
        int ready = ppoll(&one, 1, &timeout, &while_waiting);
        if (asked_to_end) {
            asked_to_end = 0; // told once, so that there is time for an orderly end
            return LINK_STOPPED;
        }
        if (ready > 0) {
            return LINK_OK;
        }
        if (ready == 0) {
            return LINK_SILENT;
        }
    }
}

enum link_result link_wait(double seconds) {
    return wait_for(-1, 0, monotonic() + seconds) == LINK_STOPPED ? LINK_STOPPED : LINK_OK;
}

// --- the clock

static time_t set_to;
static double set_at;

time_t link_time(void) {
    if (set_at == 0) {
        set_to = kcm_time();
        set_at = monotonic();
    }
    return set_to + (time_t)(monotonic() - set_at);
}

static void set_time(time_t now) {
    log_info("paLT", "the server's time is %lld", (long long)now);
    set_to = now;
    set_at = monotonic();
    kcm_set_time(now);
}

// --- TCP

static void split_uri(const char *uri, char host[256], char port[6]) {
    const char *start = strstr(uri, "://");
    start = start == NULL ? uri : start + 3;
    size_t size = strcspn(start, ":/?");
    snprintf(host, 256, "%.*s", (int)size, start);
    const char *digits = start[size] == ':' ? start + size + 1 : "5684";
    snprintf(port, 6, "%.*s", (int)strspn(digits, "0123456789"), digits);
}

static enum link_result connect_to(const struct addrinfo *address, int *peer) {
    *peer = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connect(*peer, address->ai_addr, address->ai_addrlen) == 0) {
        return LINK_OK;
    }
    enum link_result result = LINK_NO_NETWORK;
    if (errno == EINPROGRESS) {
        result = wait_for(*peer, POLLOUT, monotonic() + HANDSHAKE_SECONDS);
        int error = 0;
        socklen_t size = sizeof error;
        if (result == LINK_OK && (getsockopt(*peer, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)) {
            result = LINK_NO_NETWORK;
        }
    }
    if (result != LINK_OK) {
        close(*peer);
    }
    return result;
}

static enum link_result reach(const char *uri, int *peer) {
    char host[256], port[6];
    split_uri(uri, host, port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *addresses;
    int error = getaddrinfo(host, port, &hints, &addresses);
    if (error != 0) {
        log_failure("mClt", "%s has no address: %s", host, gai_strerror(error));
        return LINK_NO_ADDRESS;
    }
    enum link_result result = LINK_NO_NETWORK;
    for (struct addrinfo *address = addresses; address != NULL && result != LINK_OK && result != LINK_STOPPED;
         address = address->ai_next) {
        result = connect_to(address, peer);
    }
    freeaddrinfo(addresses);
    return result;
}

// --- TLS

static time_t seconds_of(const mbedtls_x509_time *moment) {
    struct tm fields = {.tm_year = moment->year - 1900, .tm_mon = moment->mon - 1, .tm_mday = moment->day,
                        .tm_hour = moment->hour, .tm_min = moment->min, .tm_sec = moment->sec};
    return timegm(&fields);
}

// The dates are judged after the handshake: by then the server's time is known.
static int leave_dates_out(void *link_, mbedtls_x509_crt *certificate, int depth, uint32_t *flags) {
    struct link *link = link_;
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    if (depth == 0) {
        link->begin = seconds_of(&certificate->valid_from);
        link->end = seconds_of(&certificate->valid_to);
    }
    return 0;
}

static void take_server_time(struct link *link, const unsigned char random[32]) {
    link->server_time = (time_t)random[0] << 24 | random[1] << 16 | random[2] << 8 | random[3];
}

#if MBEDTLS_VERSION_MAJOR < 3
static int see_keys(void *link, const unsigned char *secret, const unsigned char *block, size_t mac_size,
                    size_t key_size, size_t iv_size, const unsigned char client[32], const unsigned char server[32],
                    mbedtls_tls_prf_types function) {
    (void)secret, (void)block, (void)mac_size, (void)key_size, (void)iv_size, (void)client, (void)function;
    take_server_time(link, server);
    return 0;
}
#else
static void see_keys(void *link, mbedtls_ssl_key_export_type type, const unsigned char *secret, size_t size,
                     const unsigned char client[32], const unsigned char server[32], mbedtls_tls_prf_types function) {
    (void)type, (void)secret, (void)size, (void)client, (void)function;
    take_server_time(link, server);
}
#endif

static int configure(struct link *link, const struct identity *identity) {
    int error = mbedtls_x509_crt_parse_der(&link->ca, identity->ca.data, identity->ca.size);
    if (error == 0) {
        error =
            mbedtls_x509_crt_parse_der(&link->certificate, identity->certificate.data, identity->certificate.size);
    }
    if (error == 0) {
        error = parse_private_key(&link->private_key, identity->private_key.data, identity->private_key.size);
    }
    if (error == 0) {
        error = mbedtls_ssl_config_defaults(&link->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                            MBEDTLS_SSL_PRESET_DEFAULT);
    }
    if (error != 0) {
        return error;
    }
#if MBEDTLS_VERSION_MAJOR < 3
    mbedtls_ssl_conf_min_version(&link->config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_export_keys_ext_cb(&link->config, see_keys, link);
#else
    mbedtls_ssl_conf_min_tls_version(&link->config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(&link->config, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
    mbedtls_ssl_conf_ciphersuites(&link->config, SUITES);
    mbedtls_ssl_conf_authmode(&link->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&link->config, &link->ca, NULL);
    mbedtls_ssl_conf_verify(&link->config, leave_dates_out, link);
    mbedtls_ssl_conf_rng(&link->config, kcm_random, NULL);
    error = mbedtls_ssl_conf_own_cert(&link->config, &link->certificate, &link->private_key);
    if (error == 0) {
        error = mbedtls_ssl_setup(&link->session, &link->config);
    }
    if (error == 0) {
        error = mbedtls_ssl_set_hostname(&link->session, NULL);
    }
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_set_export_keys_cb(&link->session, see_keys, link);
#endif
    mbedtls_ssl_set_bio(&link->session, &link->peer, mbedtls_net_send, mbedtls_net_recv, NULL);
    return error;
}

static void resume(struct link *link, const struct bytes *session) {
    mbedtls_ssl_session earlier;
    mbedtls_ssl_session_init(&earlier);
    if (mbedtls_ssl_session_load(&earlier, session->data, session->size) == 0) {
        mbedtls_ssl_set_session(&link->session, &earlier);
    }
    mbedtls_ssl_session_free(&earlier);
}

// What to do after a step of TLS: LINK_OK to try it again.
static enum link_result after(struct link *link, int error, double deadline) {
    switch (error) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return wait_for(link->peer.fd, POLLIN, deadline);
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return wait_for(link->peer.fd, POLLOUT, deadline);
    case 0:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return LINK_CLOSED;
    default:
        return LINK_NO_NETWORK;
    }
}

static bool trust_dates(struct link *link, bool resumed) {
    if (resumed) {
        return true; // no certificate was shown
    }
    if (link_time() < link->begin) {
        set_time(link->server_time);
    }
    time_t now = link_time();
    return link->begin <= now && now <= link->end;
}

static enum link_result shake_hands(struct link *link) {
    double deadline = monotonic() + HANDSHAKE_SECONDS;
    int error;
    while ((error = mbedtls_ssl_handshake(&link->session)) != 0) {
        if (error != MBEDTLS_ERR_SSL_WANT_READ && error != MBEDTLS_ERR_SSL_WANT_WRITE) {
            log_failure("mClt", "SSL handshake return code 0x%08x", (unsigned)error);
            return LINK_NOT_SECURE;
        }
        enum link_result result = after(link, error, deadline);
        if (result != LINK_OK) {
            return result;
        }
    }
    if (!trust_dates(link, link->end == 0)) {
        log_failure("mClt", "SSL handshake return code 0x%08x", (unsigned)MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
        return LINK_NOT_SECURE;
    }
    return LINK_OK;
}

enum link_result link_open(struct link **link_, const char *uri, const struct identity *identity,
                           const struct bytes *session) {
    int peer;
    enum link_result result = reach(uri, &peer);
    if (result != LINK_OK) {
        return result;
    }
    struct link *link = allocate(sizeof *link);
    memset(link, 0, sizeof *link);
    mbedtls_ssl_config_init(&link->config);
    mbedtls_ssl_init(&link->session);
    mbedtls_x509_crt_init(&link->ca);
    mbedtls_x509_crt_init(&link->certificate);
    mbedtls_pk_init(&link->private_key);
    mbedtls_net_init(&link->peer);
    link->peer.fd = peer;
    result = configure(link, identity) == 0 ? LINK_OK : LINK_NOT_SECURE;
    if (result == LINK_OK) {
        if (session->size > 0) {
            resume(link, session);
        }
        result = shake_hands(link);
        if (result == LINK_NOT_SECURE) {
            // Said also to a server that has refused and gone. SIGPIPE then ends this process without a word, which was
            // seen of Arm's client in 4 of 6 runs: it depends on who is faster.
            mbedtls_ssl_send_alert_message(&link->session, MBEDTLS_SSL_ALERT_LEVEL_WARNING,
                                           MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY);
        }
    }
    if (result != LINK_OK) {
        link_close(link);
        link = NULL;
    }
    *link_ = link;
    return result;
}

void link_close(struct link *link) {
    mbedtls_net_free(&link->peer);
    mbedtls_pk_free(&link->private_key);
    mbedtls_x509_crt_free(&link->certificate);
    mbedtls_x509_crt_free(&link->ca);
    mbedtls_ssl_free(&link->session);
    mbedtls_ssl_config_free(&link->config);
    free(link);
}

struct bytes link_session(const struct link *link) {
    struct bytes saved = {0};
    mbedtls_ssl_session current;
    mbedtls_ssl_session_init(&current);
    if (mbedtls_ssl_get_session(&link->session, &current) == 0) {
        size_t size = 0;
        mbedtls_ssl_session_save(&current, NULL, 0, &size);
        saved.data = allocate(size);
        if (mbedtls_ssl_session_save(&current, saved.data, size, &saved.size) != 0) {
            saved.size = 0;
        }
    }
    mbedtls_ssl_session_free(&current);
    return saved;
}

enum link_result link_send(struct link *link, const void *message, size_t size) {
    double deadline = monotonic() + SEND_SECONDS;
    int sent;
    while ((sent = mbedtls_ssl_write(&link->session, message, size)) != (int)size) {
        if (sent > 0) {
            return LINK_NO_NETWORK; // a message is never longer than a record
        }
        enum link_result result = after(link, sent, deadline);
        if (result != LINK_OK) {
            return result;
        }
    }
    return LINK_OK;
}

enum link_result link_receive(struct link *link, uint8_t *message, size_t *size, double seconds) {
    double deadline = monotonic() + seconds;
    int got;
    while ((got = mbedtls_ssl_read(&link->session, message, LONGEST_RECORD)) <= 0) {
        enum link_result result = after(link, got, deadline);
        if (result != LINK_OK) {
            return result;
        }
    }
    *size = (size_t)got;
    return LINK_OK;
}
