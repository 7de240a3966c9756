// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include "lwm2m.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

#include "client_log.h"
#include "coap.h"
#include "updates.h"

enum {
    LIFETIME_SECONDS = 600,
    UPDATE_SECONDS = 300,
    ANSWER_SECONDS = 60,
    FAREWELL_SECONDS = 2,
    BLOCK_EXPONENT = 5,
    BLOCK_SIZE = 1 << (BLOCK_EXPONENT + 4),
    TLV_FORMAT = 11542,
    LONGEST_TLV = 8192,
};

// Resources of object 0, "LwM2M Security", and where their values are kept.
static const struct {
    unsigned resource;
    enum kcm_kind kind;
    const char *item;
} LWM2M[] = {
    {4, KCM_CERTIFICATE, "mbed.LwM2MServerCACert"},
    {3, KCM_CERTIFICATE, "mbed.LwM2MDeviceCert"},
    {5, KCM_PRIVATE_KEY, "mbed.LwM2MDevicePrivateKey"},
    {0, KCM_CONFIG, "mbed.LwM2MServerURI"},
};
enum { LWM2M_COUNT = sizeof LWM2M / sizeof *LWM2M };

#define SESSION "sslsession"
#define ACCOUNT "mbed.AccountID"
#define IDENTITY "mbed.InternalEndpoint"
#define BOOTSTRAP_URI "mbed.BootstrapServerURI"

// --- items

static bool read_item(enum kcm_kind kind, const char *item, struct bytes *value) {
    log_item(item);
    *value = (struct bytes){0};
    bool read = kcm_read(kind, item, value) == KCM_OK;
    if (!read) {
        log_failure("fcc ", "key_config_manager.c:156:kcm_item_get_data_size:Failed during storage_data_size_read");
    }
    return read;
}

static bool store_item(enum kcm_kind kind, const char *item, const void *data, size_t size) {
    log_item(item);
    kcm_delete(kind, item);
    log_item(item);
    return kcm_store(kind, item, data, size, false) == KCM_OK;
}

static bool read_identity(const char *ca, const char *certificate, const char *private_key,
                          struct identity *identity) {
    *identity = (struct identity){0};
    return read_item(KCM_CERTIFICATE, ca, &identity->ca) &&
           read_item(KCM_CERTIFICATE, certificate, &identity->certificate) &&
           read_item(KCM_PRIVATE_KEY, private_key, &identity->private_key);
}

static void free_identity(struct identity *identity) {
    free(identity->ca.data);
    free(identity->certificate.data);
    free(identity->private_key.data);
}

bool lwm2m_is_bootstrapped(void) {
    struct bytes uri;
    bool found = read_item(KCM_CONFIG, "mbed.LwM2MServerURI", &uri);
    free(uri.data);
    return found;
}

void lwm2m_forget(void) {
    for (size_t i = 0; i < LWM2M_COUNT; i++) {
        log_item(LWM2M[i].item);
        kcm_delete(LWM2M[i].kind, LWM2M[i].item);
    }
    kcm_delete(KCM_CONFIG, SESSION);
}

static void common_name(const struct bytes *der, char name[NAME_SIZE]) {
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    name[0] = 0;
    if (mbedtls_x509_crt_parse_der(&certificate, der->data, der->size) == 0) {
        for (const mbedtls_x509_name *part = &certificate.subject; part != NULL; part = part->next) {
            if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &part->oid) == 0) {
                snprintf(name, NAME_SIZE, "%.*s", (int)part->val.len, part->val.p);
            }
        }
    }
    mbedtls_x509_crt_free(&certificate);
}

// --- conversation

struct conversation {
    struct link *link;
    uint16_t id;
    uint8_t token[COAP_TOKEN];
    uint8_t record[LONGEST_RECORD]; // what the last message points into
};

static enum lwm2m_result result_of(enum link_result result) {
    switch (result) {
    case LINK_OK:
        return LWM2M_OK;
    case LINK_STOPPED:
        return LWM2M_STOPPED;
    case LINK_NO_ADDRESS:
        return LWM2M_NO_ADDRESS;
    case LINK_NOT_SECURE:
        return LWM2M_NOT_SECURE;
    default:
        return LWM2M_NO_NETWORK;
    }
}

static void begin(struct conversation *talk, struct link *link) {
    talk->link = link;
    kcm_random(NULL, (unsigned char *)&talk->id, sizeof talk->id);
    kcm_random(NULL, talk->token, sizeof talk->token);
}

static enum link_result send_draft(struct conversation *talk, const struct coap_draft *draft) {
    return draft->size > COAP_LONGEST ? LINK_NO_NETWORK : link_send(talk->link, draft->data, draft->size);
}

static enum link_result acknowledge(struct conversation *talk, const struct coap_message *message, uint8_t code) {
    struct coap_draft draft;
    coap_begin(&draft, COAP_ACK, code, message->id, message->token, code == COAP_EMPTY ? 0 : message->token_size);
    if (code != COAP_EMPTY && message->in_blocks) {
        coap_add_number(&draft, COAP_BLOCK1, message->block);
    }
    return send_draft(talk, &draft);
}

static enum link_result receive(struct conversation *talk, struct coap_message *message, double seconds) {
    size_t size;
    enum link_result result = link_receive(talk->link, talk->record, &size, seconds);
    if (result == LINK_OK && !coap_read(talk->record, size, message)) {
        log_failure("mClt", "what came is no CoAP message");
        result = LINK_NO_NETWORK;
    }
    return result;
}

static bool answers(const struct conversation *talk, const struct coap_message *message) {
    return message->code >= COAP_CODE(2, 0) && message->token_size == sizeof talk->token &&
           memcmp(message->token, talk->token, sizeof talk->token) == 0;
}

static enum link_result receive_answer(struct conversation *talk, struct coap_message *answer, double seconds) {
    enum link_result result = receive(talk, answer, seconds);
    while (result == LINK_OK && !answers(talk, answer)) {
        updates_take(talk->link, answer, &result);
        result = result == LINK_OK ? receive(talk, answer, seconds) : result;
    }
    if (result == LINK_OK && answer->type == COAP_CON) {
        result = acknowledge(talk, answer, COAP_EMPTY);
    }
    return result;
}

// Ask, in blocks if the PAYLOAD is long. QUERY: parts with & between, or NULL.
static enum link_result ask(struct conversation *talk, uint8_t code, const char *path, const char *query,
                            const struct bytes *payload, struct coap_message *answer, double seconds) {
    size_t start = 0;
    enum link_result result;
    do {
        size_t rest = payload->size - start, size = rest < BLOCK_SIZE ? rest : BLOCK_SIZE;
        bool more = size < rest;
        struct coap_draft draft;
        coap_begin(&draft, COAP_CON, code, ++talk->id, talk->token, sizeof talk->token);
        coap_add_path(&draft, path);
        if (payload->size > 0) {
            coap_add_number(&draft, COAP_CONTENT_FORMAT, 40); // application/link-format
        }
        for (const char *part = query; part != NULL && *part != 0; part += *part == '&') {
            coap_add(&draft, COAP_URI_QUERY, part, strcspn(part, "&"));
            part += strcspn(part, "&");
        }
        if (payload->size > BLOCK_SIZE) {
            uint32_t number = (uint32_t)(start / BLOCK_SIZE);
            coap_add_number(&draft, COAP_BLOCK1, number << 4 | (more ? 8 : 0) | BLOCK_EXPONENT);
        }
        coap_add_payload(&draft, payload->data + start, size);
        result = send_draft(talk, &draft);
        if (result == LINK_OK) {
            result = receive_answer(talk, answer, seconds);
        }
        start += size;
    } while (result == LINK_OK && answer->code == COAP_CONTINUE && start < payload->size);
    return result;
}

static void keep_reason(const struct coap_message *answer, char reason[REASON_SIZE]) {
    const char *name = answer->code == COAP_BAD_REQUEST ? "bad-request"
                       : answer->code == COAP_FORBIDDEN ? "response-forbidden"
                       : answer->code == COAP_NOT_FOUND ? "not-found"
                                                        : "unknown-error";
    snprintf(reason, REASON_SIZE, "%s:%.*s", name, (int)(answer->payload_size < 400 ? answer->payload_size : 400),
             (const char *)answer->payload);
}

// --- TLV

// The value of a resource in an object instance. SIZE of TLV is that of the entries at this level.
static bool find_entry(const uint8_t *tlv, size_t size, unsigned kind, unsigned id, struct bytes *value) {
    size_t place = 0;
    while (place < size) {
        uint8_t type = tlv[place++];
        size_t id_size = type & 0x20 ? 2 : 1, length_size = type >> 3 & 3, length = type & 7;
        if (size - place < id_size + length_size) {
            return false;
        }
        unsigned found = id_size == 2 ? (unsigned)tlv[place] << 8 | tlv[place + 1] : tlv[place];
        place += id_size;
        if (length_size > 0) {
            length = 0;
        }
        for (size_t i = 0; i < length_size; i++) {
            length = length << 8 | tlv[place++];
        }
        if (size - place < length) {
            return false;
        }
        if (type >> 6 == kind && found == id) {
            *value = (struct bytes){(uint8_t *)tlv + place, length};
            return true;
        }
        place += length;
    }
    return false;
}

enum { TLV_INSTANCE = 0, TLV_RESOURCE = 3 };

static bool complete(const uint8_t *tlv, size_t size) {
    struct bytes instance, value;
    if (!find_entry(tlv, size, TLV_INSTANCE, 0, &instance)) {
        return false;
    }
    for (size_t i = 0; i < LWM2M_COUNT; i++) {
        if (!find_entry(instance.data, instance.size, TLV_RESOURCE, LWM2M[i].resource, &value)) {
            return false;
        }
    }
    return true;
}

static bool keep_lwm2m(const uint8_t *tlv, size_t size) {
    struct bytes instance, value;
    find_entry(tlv, size, TLV_INSTANCE, 0, &instance);
    for (size_t i = 0; i < LWM2M_COUNT; i++) {
        find_entry(instance.data, instance.size, TLV_RESOURCE, LWM2M[i].resource, &value);
        if (!store_item(LWM2M[i].kind, LWM2M[i].item, value.data, value.size)) {
            lwm2m_forget();
            return false;
        }
    }
    return true;
}

// --- bootstrap

// Its parts, after the URI's own: ep, then those, iep if it is not one of them.
static char *bootstrap_query(const char *uri, const char *endpoint_name) {
    char *query;
    const char *own = strchr(uri, '?');
    if (asprintf(&query, "ep=%s&%s&mccv=%s", endpoint_name, own == NULL ? "" : own + 1, updates_client_version()) < 0) {
        abort();
    }
    return query;
}

static enum lwm2m_result be_given(struct conversation *talk, struct coap_message *message, uint8_t *tlv,
                                  size_t *size, char reason[REASON_SIZE]) {
    bool finished = false;
    *size = 0;
    for (;;) {
        enum link_result result = receive(talk, message, ANSWER_SECONDS);
        if (result == LINK_CLOSED && finished) {
            return LWM2M_OK;
        }
        if (result != LINK_OK) {
            return result_of(result);
        }
        uint8_t code = COAP_NOT_FOUND;
        if (message->code == COAP_EMPTY) {
            continue; // the acknowledgement of what was said last
        }
        if (message->code == COAP_DELETE && strncmp(message->path, "0", 1) == 0) {
            *size = 0;
            code = COAP_DELETED;
        } else if (message->code == COAP_PUT && strcmp(message->path, "0") == 0) {
            bool more = message->in_blocks && (message->block & 8);
            if (message->content_format != TLV_FORMAT || *size + message->payload_size > LONGEST_TLV) {
                code = COAP_BAD_REQUEST;
            } else {
                memcpy(tlv + *size, message->payload, message->payload_size);
                *size += message->payload_size;
                code = more ? COAP_CONTINUE : complete(tlv, *size) ? COAP_CHANGED : COAP_BAD_REQUEST;
            }
        } else if (message->code == COAP_POST && strcmp(message->path, "bs") == 0 && complete(tlv, *size)) {
            struct coap_draft draft;
            result = acknowledge(talk, message, COAP_EMPTY);
            coap_begin(&draft, COAP_CON, COAP_CHANGED, ++talk->id, message->token, message->token_size);
            if (result == LINK_OK) {
                result = send_draft(talk, &draft);
            }
            if (result != LINK_OK) {
                return result_of(result);
            }
            finished = true;
            continue;
        }
        result = acknowledge(talk, message, code);
        if (result != LINK_OK) {
            return result_of(result);
        }
        if (code == COAP_BAD_REQUEST) {
            snprintf(reason, REASON_SIZE, "BS PUT fails :%s", message->path);
            return LWM2M_REFUSED;
        }
    }
}

static enum lwm2m_result bootstrap_over(struct link *link, const char *uri, const char *endpoint_name,
                                        char reason[REASON_SIZE]) {
    static struct conversation talk;
    static uint8_t tlv[LONGEST_TLV];
    size_t size;
    struct coap_message message;
    begin(&talk, link);
    char *query = bootstrap_query(uri, endpoint_name);
    enum lwm2m_result result =
        result_of(ask(&talk, COAP_POST, "bs", query, &(struct bytes){0}, &message, ANSWER_SECONDS));
    free(query);
    if (result == LWM2M_OK && message.code != COAP_CHANGED) {
        keep_reason(&message, reason);
        result = LWM2M_REFUSED;
    }
    if (result == LWM2M_OK) {
        log_info("mClt", "M2MNsdlInterface::handle_bootstrap_response");
        result = be_given(&talk, &message, tlv, &size, reason);
    }
    if (result == LWM2M_OK) {
        log_info("mClt", "M2MInterfaceImpl::bootstrap_done");
        result = keep_lwm2m(tlv, size) ? LWM2M_OK : LWM2M_NOT_STORED;
    }
    memset(tlv, 0, sizeof tlv);
    return result;
}

// With the identity, if the board has one, so that it gets the same device id again.
static char *complete_uri(const struct bytes *uri, bool *changed) {
    struct bytes identity;
    char *complete = NULL;
    *changed = read_item(KCM_CONFIG, IDENTITY, &identity) && strstr((char *)uri->data, "&iep=") == NULL;
    if (asprintf(&complete, *changed ? "%s&iep=%s" : "%s", (char *)uri->data, (char *)identity.data) < 0) {
        abort();
    }
    free(identity.data);
    return complete;
}

enum lwm2m_result lwm2m_bootstrap(char reason[REASON_SIZE]) {
    struct identity identity;
    struct bytes uri, name = {0};
    if (!read_item(KCM_CONFIG, BOOTSTRAP_URI, &uri) || !read_item(KCM_CONFIG, "mbed.EndpointName", &name) ||
        !read_identity("mbed.BootstrapServerCACert", "mbed.BootstrapDeviceCert", "mbed.BootstrapDevicePrivateKey",
                       &identity)) {
        return LWM2M_UNREADABLE;
    }
    bool identified;
    char *complete = complete_uri(&uri, &identified);
    log_info("mClt", "M2MInterfaceImpl::state_bootstrap - server_address %s", complete);
    struct link *link;
    enum lwm2m_result result = result_of(link_open(&link, complete, &identity, &(struct bytes){0}));
    if (result == LWM2M_OK) {
        result = bootstrap_over(link, complete, (char *)name.data, reason);
        link_close(link);
    }
    if (result == LWM2M_OK && identified) {
        store_item(KCM_CONFIG, BOOTSTRAP_URI, complete, strlen(complete));
    }
    free(complete);
    free(uri.data);
    free(name.data);
    free_identity(&identity);
    return result;
}

// --- registration

static void value_of_query(const char *uri, const char *name, char value[NAME_SIZE]) {
    const char *place = strchr(uri, '?');
    size_t size = strlen(name);
    value[0] = 0;
    while (place != NULL) {
        place++;
        if (strncmp(place, name, size) == 0 && place[size] == '=') {
            snprintf(value, NAME_SIZE, "%.*s", (int)strcspn(place + size + 1, "&"), place + size + 1);
            return;
        }
        place = strchr(place, '&');
    }
}

// The objects and resources of a board, in link format: more than one block.
static struct bytes objects(void) {
    static const struct {
        unsigned object, first, last;
    } ranges[] = {{1, 0, 8}, {3, 0, 21}, {5, 0, 9}, {33456, 1, 5}, {35011, 0, 9}};
    char *text;
    size_t size;
    FILE *links = open_memstream(&text, &size);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        fprintf(links, "%s</%u/0>", i == 0 ? "" : ",", ranges[i].object);
        for (unsigned resource = ranges[i].first; resource <= ranges[i].last; resource++) {
            fprintf(links, ",</%u/0/%u>", ranges[i].object, resource);
        }
    }
    updates_write_links(links);
    fclose(links);
    return (struct bytes){(uint8_t *)text, size};
}

static struct conversation talk; // of the registration

static enum lwm2m_result judge(const struct coap_message *answer) {
    log_failure("mClt", "M2MNsdlInterface::handle_register_response - registration error %d: %.*s", answer->code,
                (int)(answer->payload_size < 400 ? answer->payload_size : 400), (const char *)answer->payload);
    return answer->code == COAP_BAD_REQUEST || answer->code == COAP_FORBIDDEN ? LWM2M_REFUSED : LWM2M_NO_NETWORK;
}

static void locate(struct registration *registration, const char *location) {
    snprintf(registration->location, sizeof registration->location, "%s", location);
    const char *last = strrchr(registration->location, '/');
    registration->device_id = last == NULL ? registration->location : last + 1;
}

static enum lwm2m_result register_anew(struct registration *registration) {
    struct coap_message answer;
    struct bytes payload = objects();
    char *query;
    if (asprintf(&query, "ep=%s&et=default&lt=%d&d=%s&b=U&aid=%s&mccv=%s", registration->endpoint_name,
                 LIFETIME_SECONDS, registration->account, registration->account, updates_client_version()) < 0) {
        abort();
    }
    enum lwm2m_result result =
        result_of(ask(&talk, COAP_POST, "rd", query, &payload, &answer, ANSWER_SECONDS));
    free(query);
    free(payload.data);
    if (result != LWM2M_OK) {
        return result;
    }
    if (answer.code != COAP_CREATED) {
        return judge(&answer);
    }
    locate(registration, answer.path);
    log_info("mClt", "M2MInterfaceImpl::client_registered");
    return LWM2M_OK;
}

static enum lwm2m_result update(struct registration *registration, bool *known) {
    struct coap_message answer;
    enum lwm2m_result result = result_of(
        ask(&talk, COAP_POST, registration->location, NULL, &(struct bytes){0}, &answer, ANSWER_SECONDS));
    *known = result == LWM2M_OK && answer.code == COAP_CHANGED;
    if (*known) {
        log_info("mClt", "M2MInterfaceImpl::registration_updated");
    }
    return result;
}

static void keep_session(const struct link *link) {
    struct bytes session = link_session(link);
    if (session.size > 0) {
        store_item(KCM_CONFIG, SESSION, session.data, session.size);
    }
    free(session.data);
}

static void keep_identity(const struct registration *registration) {
    struct bytes before;
    size_t size = strlen(registration->device_id);
    bool same = read_item(KCM_CONFIG, IDENTITY, &before) && before.size == size &&
                memcmp(before.data, registration->device_id, size) == 0;
    free(before.data);
    if (!same) {
        store_item(KCM_CONFIG, IDENTITY, registration->device_id, size);
    }
    store_item(KCM_CONFIG, ACCOUNT, registration->account, strlen(registration->account));
    uint64_t now = (uint64_t)link_time();
    store_item(KCM_CONFIG, "mbed.CurrentTime", &now, sizeof now);
}

static enum lwm2m_result register_over(struct registration *registration) {
    begin(&talk, registration->link);
    registration->updated = false;
    enum lwm2m_result result = LWM2M_OK;
    if (registration->location[0] != 0) {
        result = update(registration, &registration->updated);
    }
    if (result == LWM2M_OK && !registration->updated) {
        result = register_anew(registration);
    }
    if (result == LWM2M_OK) {
        updates_connected(registration->link, &talk.id);
        keep_session(registration->link);
        keep_identity(registration);
    }
    return result;
}

enum lwm2m_result lwm2m_register(struct registration *registration) {
    struct identity identity;
    struct bytes uri, session;
    if (!read_item(KCM_CONFIG, "mbed.LwM2MServerURI", &uri) ||
        !read_identity("mbed.LwM2MServerCACert", "mbed.LwM2MDeviceCert", "mbed.LwM2MDevicePrivateKey", &identity)) {
        return LWM2M_UNREADABLE;
    }
    struct bytes known_account;
    if (!read_item(KCM_CONFIG, ACCOUNT, &known_account)) {
        log_failure("mClt", "CloudClientStorage::ccs_get_item [" ACCOUNT "] kcm get error 5"); // no harm in it
    }
    free(known_account.data);
    if (!read_item(KCM_CONFIG, SESSION, &session)) {
        log_failure("PAL ", "pal_loadSslSessionFromStorage - failed to get item size!"); // nor in this
    }
    common_name(&identity.certificate, registration->endpoint_name);
    value_of_query((char *)uri.data, "aid", registration->account);
    log_info("mClt", "M2MInterfaceImpl::state_register - server_address %s", (char *)uri.data);
    enum lwm2m_result result = result_of(link_open(&registration->link, (char *)uri.data, &identity, &session));
    if (result == LWM2M_OK) {
        result = register_over(registration);
        if (result != LWM2M_OK) {
            link_close(registration->link);
        }
    }
    free(uri.data);
    free(session.data);
    free_identity(&identity);
    return result;
}

static void deregister(struct registration *registration) {
    struct coap_message answer;
    ask(&talk, COAP_DELETE, registration->location, NULL, &(struct bytes){0}, &answer, FAREWELL_SECONDS);
}

static enum lwm2m_result say_so_again(struct registration *registration) {
    bool known;
    enum lwm2m_result result = update(registration, &known);
    return result != LWM2M_OK || known ? result : register_anew(registration);
}

// Wait for the next message and heed it, or do what is due.
static enum lwm2m_result stay_on(struct registration *registration, double *silence) {
    struct coap_message message;
    double resend = updates_wait(), seconds = UPDATE_SECONDS - *silence;
    bool resends = resend >= 0 && resend < seconds;
    enum link_result waited = receive(&talk, &message, resends ? resend : seconds);
    if (waited == LINK_SILENT && resends) {
        *silence += resend;
        return result_of(updates_resend());
    }
    *silence = 0;
    if (waited == LINK_SILENT) {
        return say_so_again(registration);
    }
    if (waited == LINK_OK && !updates_take(talk.link, &message, &waited) && message.type == COAP_CON &&
        message.code != COAP_EMPTY) {
        waited = acknowledge(&talk, &message, COAP_NOT_FOUND); // no other resource can be asked for
    }
    return result_of(waited);
}

enum lwm2m_result lwm2m_stay(struct registration *registration) {
    enum lwm2m_result result = LWM2M_OK;
    double silence = 0;
    while (result == LWM2M_OK) {
        result = stay_on(registration, &silence);
    }
    if (result == LWM2M_STOPPED) {
        deregister(registration);
    }
    link_close(registration->link);
    return result;
}
