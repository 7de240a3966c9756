# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2154 # the values that device.py adds
#
# The program that a board runs, sent to `/bin/sh` over its standard input by device.py, which adds the
# values and the call at the end in one pair of braces: a text that was cut off on the way does nothing.
#
# It knows the tools of MBL's production images only (busybox without base64, timeout, chmod, id, pidof,
# mountpoint, ...) and answers in lines `mbl:KEY=VALUE`; the last one is `mbl:end=yes`.
#
# The journal of an injection is $before: as long as it exists, the KCM beside it is not to be trusted, and
# $before is what the board held. It appears and goes by rename only.

set -u
umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

utility=/opt/arm/pelion-provisioning-util
client=mbl-cloud-client
kcm=/config/user/pal
before=$kcm.before
discard=$kcm.discard
record=/config/user/pelion-mbl.record
inputs=/scratch/provisioning-certs
mark=pelion-mbl
lock=/run/pelion-mbl.lock
log=/var/log/mbl-cloud-client.log

locked=no
injecting=no
client_stopped=no

say() { printf 'mbl:%s=%s\n' "$1" "$2"; }

say_each_line() { while IFS= read -r line; do say "$1" "$line"; done; }

# Ends the program; on_exit undoes what was begun.
fail() {
    say error "$1"
    printf '%s\n' "${2:-}" | say_each_line detail
    exit 1
}

uptime_seconds() {
    read -r seconds _ </proc/uptime
    echo "${seconds%%.*}"
}

on_exit() {
    trap - EXIT
    drop_inputs
    if [ "$injecting" = yes ]; then
        if put_back; then say undone yes; else say undone no; fi
    fi
    [ "$client_stopped" = no ] || start_client
    release_lock
    say end yes
}

### One at a time: the utility has no lock of its own.

take_lock() {
    deadline=$(($(uptime_seconds) + lock_timeout))
    until mkdir "$lock" 2>/dev/null; do
        [ -w "${lock%/*}" ] || fail no-run
        holder=$(cat "$lock/pid" 2>/dev/null)
        if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
            # Its owner was killed. Take it away by rename, and give it back if somebody else was quicker.
            if mv "$lock" "$lock.$$" 2>/dev/null; then
                [ "$(cat "$lock.$$/pid" 2>/dev/null)" = "$holder" ] || mv "$lock.$$" "$lock" 2>/dev/null
                rm -rf "$lock.$$"
            fi
        elif [ "$(uptime_seconds)" -ge "$deadline" ]; then
            fail locked "${holder:-unknown}"
        else
            sleep 1
        fi
    done
    locked=yes
    echo $$ >"$lock/pid"
}

release_lock() {
    [ "$locked" = no ] || rm -rf "$lock"
    locked=no
}

### The cloud client

stop_client() {
    client_stopped=yes
    output=$(systemctl stop "$client" 2>&1) || fail stop-client "$output"
}

start_client() {
    note_log_position
    client_stopped=no
    output=$(systemctl start "$client" 2>&1) || printf '%s\n' "$output" | say_each_line client-error
}

# `systemctl is-active` answers "active" for a daemon that has died.
client_runs() {
    for comm in /proc/[0-9]*/comm; do
        read -r name <"$comm" 2>/dev/null || continue
        [ "$name" != mbl-cloud-clien ] || return 0 # the kernel keeps 15 characters
    done
    return 1
}

note_log_position() {
    log_inode=$(stat -c %i "$log" 2>/dev/null)
    log_size=$(stat -c %s "$log" 2>/dev/null)
}

# What the client logged since note_log_position, a rotation in between included.
new_log() {
    if [ "$(stat -c %i "$log" 2>/dev/null)" = "$log_inode" ]; then
        tail -c "+$((${log_size:-0} + 1))" "$log" 2>/dev/null
    else
        [ -z "$log_inode" ] || tail -c "+$((log_size + 1))" "$log.1" 2>/dev/null
        cat "$log" 2>/dev/null
    fi
}

say_log() { grep -E 'Client registered|Endpoint Name: |Device Id: |Error |not configured' | tail -n 30 | say_each_line log; }

await_registration() {
    deadline=$(($(uptime_seconds) + registration_timeout))
    until new_log | grep -q 'Device Id: ' || [ "$(uptime_seconds)" -ge "$deadline" ]; do
        sleep 0.2 2>/dev/null || sleep 1
    done
    new_log | say_log
    if client_runs; then say client-runs yes; else say client-runs no; fi
}

### The utility

# Its output goes to $lock/output, its exit code to $code. There is no `timeout`, and it can wait long for
# randomness, so a second process ends it.
run_utility() {
    "$utility" "$1" >"$lock/output" 2>&1 </dev/null &
    running=$!
    (
        waited=0
        while [ "$waited" -lt "$utility_timeout" ]; do
            sleep 1
            waited=$((waited + 1))
        done
        kill -9 "$running"
    ) >/dev/null 2>&1 </dev/null &
    watchdog=$!
    wait "$running"
    code=$?
    kill "$watchdog" 2>/dev/null
}

### What it reads: the items, in memory if the board can

# The mount's source is our mark, so that a mount left by a killed run is known for ours.
inputs_are_mounted() { grep -q "^$mark $inputs " /proc/mounts; }

make_inputs() {
    [ -d "${inputs%/*}" ] || fail no-scratch
    made_inputs=no
    [ -d "$inputs" ] || { mkdir "$inputs" && made_inputs=yes; } || fail inputs
    if mount -t ramfs -o mode=0700 "$mark" "$inputs" 2>/dev/null; then
        say inputs memory
        [ "$made_inputs" = no ] || : >"$inputs/.$mark"
    elif [ "$made_inputs" = yes ]; then
        say inputs disk
        : >"$inputs/.$mark"
    else
        fail inputs-taken
    fi
}

drop_inputs() {
    made_inputs=no
    [ ! -e "$inputs/.$mark" ] || made_inputs=yes
    while inputs_are_mounted; do umount "$inputs" || return; done
    [ "$made_inputs" = yes ] || return 0
    for file in "$inputs"/*.bin; do
        [ ! -f "$file" ] || dd if=/dev/zero of="$file" bs=1 count="$(stat -c %s "$file")" conv=notrunc,fsync 2>/dev/null
    done
    rm -rf "$inputs"
}

### The transaction

take_snapshot() {
    if [ -d "$kcm" ]; then
        output=$(cp -a "$kcm" "$before.part" 2>&1)
    else
        output=$(mkdir "$before.part" 2>&1 && : >"$before.part/.absent")
    fi || {
        rm -rf "$before.part"
        fail snapshot "$output"
    }
    sync
    mv "$before.part" "$before" || fail snapshot
    injecting=yes
    sync
}

put_back() {
    if [ -e "$before/.absent" ]; then
        rm -rf "$kcm" "$before"
    else
        rm -rf "$kcm.broken"
        { [ ! -e "$kcm" ] || mv "$kcm" "$kcm.broken"; } && mv "$before" "$kcm" || return 1
        rm -rf "$kcm.broken"
    fi
    rm -f "$record.new"
    injecting=no
    sync
}

commit() {
    {
        printf '%s\n' "$record_text"
        echo "kcm=$(kcm_digest)"
    } >"$record.new" || fail record
    sync
    mv "$before" "$discard" || fail record
    injecting=no
    mv "$record.new" "$record"
    sync
    rm -rf "$discard"
}

# Completes or undoes what a killed run or a power cut left. The lock is held, so nobody is at work on it.
recover() {
    if [ ! -d "$before" ]; then
        [ "$may_change" = yes ] || return 0
        drop_inputs
        rm -rf "$discard" "$before.part"
        [ ! -f "$record.new" ] || mv "$record.new" "$record"
    elif [ "$may_change" = yes ]; then
        drop_inputs
        stop_client
        put_back || fail put-back
        start_client
        say recovered yes
    else
        say interrupted yes
    fi
}

# The factory copy changes with each `--provision` and with nothing else.
kcm_digest() { (cd "$kcm/BACKUP" 2>/dev/null && sha256sum ./* 2>/dev/null) | sha256sum | cut -d' ' -f1; }

# Removes what makes the client register instead of bootstrap; it does the same itself for this purpose.
forget_bootstrap() { for name in $lwm2m_files; do rm -f "$kcm/WORKING/$name"; done; }

# The utility's status overlooks missing update items, so each file is looked for and each certificate read.
check_kcm() {
    for name in $item_files; do
        [ -s "$kcm/WORKING/$name" ] || fail check "The KCM has no file $name after the injection."
    done
    printf '%s\n' "$certificates" | while read -r name offset length digest; do
        found=$(dd if="$kcm/WORKING/$name" bs=1 skip="$offset" count="$length" 2>/dev/null | sha256sum)
        [ "${found%% *}" = "$digest" ] || echo "$name"
    done >"$lock/output"
    wrong=$(cat "$lock/output")
    [ -z "$wrong" ] || fail check "The KCM holds another certificate than the one injected (file $wrong)."
    run_utility --get-pelion-status
    [ "$code" = 0 ] || fail check "$(cat "$lock/output")"
}

### What the controller calls

begin() {
    trap on_exit EXIT
    # A lost connection must not stop the work half-way; a signal to end it undoes it.
    trap '' HUP PIPE
    trap 'exit 1' INT TERM
    take_lock
    recover
}

inspect() {
    begin
    say time "$(date +%s)"
    if [ -x "$utility" ]; then say utility yes; else say utility no; fi
    if client_runs; then say client-runs yes; else say client-runs no; fi
    [ ! -f "$record" ] || say_each_line record <"$record"
    if [ -d "$kcm/WORKING" ] && [ ! -d "$before" ]; then
        say kcm-digest "$(kcm_digest)"
        for file in "$kcm"/WORKING/*; do say item-file "${file##*/}"; done
        for name in $certificate_files; do
            [ ! -f "$kcm/WORKING/$name" ] || od -v -b "$kcm/WORKING/$name" | while read -r _ octets; do
                say "content-$name" "$octets"
            done
        done
        if [ -x "$utility" ]; then
            run_utility --get-pelion-status
            say status-code "$code"
            say_each_line status <"$lock/output"
        fi
    fi
    cat "$log.4" "$log.3" "$log.2" "$log.1" "$log" 2>/dev/null | say_log
    exit 0
}

inject() {
    begin
    [ -x "$utility" ] || fail no-utility
    stop_client
    take_snapshot
    case $bootstrap in
    keep-identity) forget_bootstrap ;;
    new-identity) rm -rf "$kcm" ;;
    esac
    make_inputs
    write_items || fail inputs
    run_utility --provision
    drop_inputs
    [ "$code" = 0 ] || fail utility "exit code $code
$(cat "$lock/output")"
    check_kcm
    commit
    say injected yes
    start_client
    release_lock
    await_registration
    exit 0
}

reconnect() {
    begin
    stop_client
    start_client
    release_lock
    await_registration
    exit 0
}
