// SPDX-FileCopyrightText: The pelion.mbl contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A stand-in for MBL's cloud client daemon: it bootstraps and registers with what it finds in the KCM, keeps there and
// writes into its log what mbl-cloud-client (head of development, January 2020, with mbed-cloud-client 4.1.0) was
// observed to, and fails as that does. To update manifests it answers as its release does, see updates.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client_log.h"
#include "configured.h"
#include "kcm.h"
#include "lab_setting.h"
#include "link.h"
#include "lwm2m.h"
#include "updates.h"

// The lab's setting of a factor by which all delays before a new try are shortened.
#define RETRY_SCALE "retry-scale"
#define FIRMWARE "/scratch/firmware"

// MblError of mbl-core.
enum connect_error {
    BEFORE_CONNECT_ERRORS = 255, // those of mbed-cloud-client begin with 1
    CONNECT_BOOTSTRAP_FAILED = 257,
    CONNECT_NETWORK_ERROR = 261,
    CONNECT_MEMORY_FAIL = 264,
    CONNECT_SECURE_CONNECTION_FAILED = 266,
    CONNECT_DNS_RESOLVING_FAILED = 267,
    CONNECTOR_FAILED_TO_READ_CREDENTIALS = 268,
};

static void log_error(enum connect_error error, const char *name, const char *details) {
    log_failure("mClt", "MbedCloudClient::error code (%d)", error - BEFORE_CONNECT_ERRORS);
    log_failure("mbl ", "Error occurred : %s", name);
    log_failure("mbl ", "Error code : %d", error);
    log_failure("mbl ", "Error details : %s", details);
}

// REASON: of a refusal.
static void log_result(enum lwm2m_result result, const char *reason) {
    switch (result) {
    case LWM2M_NO_ADDRESS:
        log_error(CONNECT_DNS_RESOLVING_FAILED, "ConnectDnsResolvingFailed",
                  "Client in reconnection mode DnsResolvingFailed");
        break;
    case LWM2M_NOT_SECURE:
        log_error(CONNECT_SECURE_CONNECTION_FAILED, "ConnectSecureConnectionFailed",
                  "Client in reconnection mode SecureConnectionFailed");
        break;
    case LWM2M_REFUSED:
        log_error(CONNECT_BOOTSTRAP_FAILED, "ConnectBootstrapFailed", reason);
        break;
    case LWM2M_UNREADABLE:
        log_error(CONNECTOR_FAILED_TO_READ_CREDENTIALS, "ConnectorFailedToReadCredentials",
                  "Failed to read credentials");
        break;
    case LWM2M_NOT_STORED:
        log_error(CONNECT_MEMORY_FAIL, "ConnectMemoryConnectFail", "Failed to store credentials");
        break;
    default:
        log_error(CONNECT_NETWORK_ERROR, "ConnectNetworkError", "Client in reconnection mode NetworkError");
    }
}

// A delay that is drawn at first, then doubled.
struct delay {
    double first_least, first_most, longest; // seconds
    double next;                              // 0: to be drawn
};

// Seconds; the first are drawn now.
static double next_wait(struct delay *delay) {
    if (delay->next == 0) {
        delay->next = delay->first_least + (delay->first_most - delay->first_least) * rand() / RAND_MAX;
    }
    return delay->next * lab_factor(RETRY_SCALE);
}

static enum link_result wait_again(struct delay *delay) {
    double seconds = next_wait(delay);
    delay->next = delay->next * 2 < delay->longest ? delay->next * 2 : delay->longest;
    return link_wait(seconds);
}

// Until told to end.
static void serve(void) {
    struct delay reconnection = {10, 100, 7 * 24 * 3600, 0}, another_bootstrap = {1, 10, 6 * 3600, 0};
    struct registration registration = {0};
    bool announced = false;
    enum link_result waited = LINK_OK;
    while (waited != LINK_STOPPED) {
        char reason[REASON_SIZE] = "";
        bool bootstrapped = lwm2m_is_bootstrapped();
        enum lwm2m_result result = bootstrapped ? lwm2m_register(&registration) : lwm2m_bootstrap(reason);
        if (bootstrapped && result == LWM2M_OK) {
            if (!announced) {
                // Once only: afterwards nothing but "registration_updated" says that it is well again.
                log_info("mbl ", "Client registered");
                log_info("mbl ", "Endpoint Name: %s", registration.endpoint_name);
                log_info("mbl ", "Device Id: %s", registration.device_id);
                announced = true;
            }
            reconnection.next = another_bootstrap.next = 0;
            result = lwm2m_stay(&registration);
        }
        if (result == LWM2M_STOPPED) {
            return;
        }
        if (result == LWM2M_OK) {
            continue;
        }
        if (bootstrapped && (result == LWM2M_REFUSED || result == LWM2M_NOT_SECURE || result == LWM2M_UNREADABLE)) {
            // A board that has LwM2M credentials uses only these. Once they are refused it bootstraps again.
            log_error(CONNECT_SECURE_CONNECTION_FAILED, "ConnectSecureConnectionFailed", "Re-bootstrapping");
            lwm2m_forget();
            registration = (struct registration){0};
            announced = false;
            log_failure("mClt", "ConnectorClient::bootstrap_again in %.0f seconds", next_wait(&another_bootstrap));
            waited = wait_again(&another_bootstrap);
        } else {
            log_result(result, reason);
            log_info("mClt", "M2MInterfaceImpl::socket_error - reconnecting in %.1f(s)", next_wait(&reconnection));
            waited = wait_again(&reconnection);
        }
    }
}

// One item after the other, up to the one that FAILED, if any did.
static void log_checks(const char *failed) {
    static const char *const items[] = {
        "mbed.UseBootstrap",
        "mbed.EndpointName",
        "mbed.Manufacturer",
        "mbed.ModelNumber",
        "mbed.DeviceType",
        "mbed.HardwareVersion",
        "mbed.MemoryTotalKB",
        "mbed.SerialNumber",
        "mbed.BootstrapServerCACert",
        "mbed.BootstrapServerURI",
        "mbed.BootstrapDevicePrivateKey",
        "mbed.BootstrapDeviceCert",
        "mbed.UpdateAuthCert",
        "mbed.ClassId",
        "mbed.VendorId",
    };
    for (size_t i = 0; i < sizeof items / sizeof *items && strcmp(items[i], failed) != 0; i++) {
        for (int look = 0; look < 4; look++) { // for its size, then for its value, by two of the real one's layers
            log_item(items[i]);
        }
    }
}

static bool is_ready(void) {
    struct failure failure = {.text = "General error", .item = ""};
    if (kcm_open() != KCM_OK) {
        log_failure("fcc ", "fcc_init: %s", failure.text);
        return false;
    }
    // By the clock that servers set, not the board's.
    bool configured = is_configured(kcm_time(), &failure);
    log_checks(configured ? "" : failure.item);
    if (!configured) {
        log_failure("fcc ", "fcc_verify_device_configured_4mbed_cloud: %s:%s", failure.text, failure.item);
    }
    return configured;
}

// The real one's part for firmware updates.
static void prepare_updates(void) {
    log_info("CCRB-IPCDBUS", "MblCloudConnectIpcDBus::MblCloudConnectIpcDBus");
    mkdir(FIRMWARE, 0700);
    updates_prepare();
    log_failure("UCPI", "[PAAL] arm_uc_pal_linux_implementation_internal.c:311: failed to open " FIRMWARE
                        "/header.bin: No such file or directory"); // no harm in it
}

int main(void) {
    if (daemon(0, 0) != 0) {
        return 1;
    }
    srand((unsigned)getpid() ^ (unsigned)time(NULL));
    link_prepare();
    log_info("mbl ", "Start mbed Linux Cloud Client");
    if (is_ready()) {
        prepare_updates();
        serve();
        log_warning("mbl ", "Recieved signal \"Terminated\", shutting down"); // spelled so
        log_info("main", "Exiting application");
    } else {
        log_failure("mbl ", "Device not configured for mbed Cloud - exit");
        log_failure("mbl ", "Failed initializing FCC");
        log_failure("main", "Cloud Client library initialization failed, exiting application!");
    }
    log_flush();
}
