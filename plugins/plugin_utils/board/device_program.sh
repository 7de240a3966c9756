# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2154 # the values that device.py adds
#
# The program that a board runs, sent to `/bin/sh` over its standard input by device.py, which adds the
# values and the call at the end in one pair of braces: a text that was cut off on the way does nothing.
#
# It knows the tools of MBL's production images only (busybox without base64, timeout, chmod, id, pidof,
# mountpoint, ..., and no options that OpenEmbedded's configuration leaves out) and answers in lines `mbl:KEY=VALUE`,
# among them `mbl:done=yes` when all was done that was asked.
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
restart_line="Started by pelion.mbl"

locked=no
injecting=no
client_stopped=no
running=
watchdog=

say() { printf 'mbl:%s=%s\n' "$1" "$2"; }

say_each_line() { while IFS= read -r line || [ -n "$line" ]; do say "$1" "$line"; done; }

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
    trap '' INT TERM
    end_utility
    [ "$locked" = no ] || [ "$may_change" = no ] || drop_inputs
    if [ "$injecting" = yes ]; then
        if put_back; then say undone yes; else say undone no; fi
    fi
    [ "$client_stopped" = no ] || start_client
    release_lock
}

### One at a time: the utility has no lock of its own.

take_lock() {
    deadline=$(($(uptime_seconds) + lock_timeout))
    until mkdir "$lock" 2>/dev/null; do
        [ -w "${lock%/*}" ] || fail no-run
        holder=$(cat "$lock/pid" 2>/dev/null)
        if [ "$(uptime_seconds)" -ge "$deadline" ]; then
            # Who has not written its number by now was killed before it could.
            [ -z "$holder" ] || is_gone "$holder" || fail locked "$holder"
            take_away "$holder" || fail locked "${holder:-unknown}"
        elif [ -n "$holder" ] && is_gone "$holder"; then
            take_away "$holder"
        else
            sleep 1
        fi
    done
    locked=yes
    echo $$ >"$lock/pid"
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

# Removes the lock of a process that was killed, unless somebody else was quicker.
take_away() {
    mkdir "$lock.taking" 2>/dev/null || { sleep 1; return 1; }
    [ "$(cat "$lock/pid" 2>/dev/null)" != "$1" ] || rm -rf "$lock"
    rmdir "$lock.taking"
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

# What the client said before is of no account from here on, so a line of ours parts its log.
start_client() {
    client_stopped=no
    echo "$(date +%Y-%m-%dT%H:%M:%S+0000) [INFO][mbl ]: $restart_line" >>"$log"
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

# The lines that tell the client's state since we last started it, through rotations.
telling_lines() {
    cat "$log.4" "$log.3" "$log.2" "$log.1" "$log" 2>/dev/null |
        grep -E "Client registered|Endpoint Name: |Device Id: |Error |not configured|$restart_line" |
        awk -v restart="$restart_line" '
            index($0, restart) { count = 0; next }
            { lines[count++] = $0 }
            END { for (i = 0; i < count; i++) print lines[i] }' |
        tail -n 30
}

await_registration() {
    deadline=$(($(uptime_seconds) + registration_timeout))
    until telling_lines | grep -q 'Device Id: ' || [ "$(uptime_seconds)" -ge "$deadline" ]; do
        sleep 0.2 2>/dev/null || sleep 1
    done
    telling_lines | say_each_line log
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
        end_utility
    ) >/dev/null 2>&1 </dev/null &
    watchdog=$!
    wait "$running"
    code=$?
    running=
    kill "$watchdog" 2>/dev/null
    watchdog=
}

# A utility that outlived us would write into the KCM that was put back.
end_utility() {
    [ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null
    [ -z "$running" ] || ! is_utility "/proc/$running" || kill -9 "$running"
    [ -z "$running" ] || wait "$running" 2>/dev/null
}

is_utility() { read -r name 2>/dev/null <"$1/comm" && [ "$name" = pelion-provisio ]; }

end_stray_utilities() {
    for process in /proc/[0-9]*; do
        while is_utility "$process"; do
            kill -9 "${process#/proc/}"
            sleep 1
        done
    done
}

### What it reads: the items, in memory if the board can

# The mount's source is our mark, so that a mount left by a killed run is known for ours.
inputs_are_mounted() { grep -q "^$mark $inputs " /proc/mounts; }

make_inputs() {
    [ -d "${inputs%/*}" ] || fail no-scratch
    made_inputs=no
    rmdir "$inputs" 2>/dev/null
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
        # Opened for reading and writing, the file keeps its blocks; busybox's dd may not have conv=notrunc.
        [ ! -f "$file" ] || dd if=/dev/zero bs=1 count="$(stat -c %s "$file")" 1<>"$file" 2>/dev/null
    done
    sync
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
    injecting=yes
    mv "$before.part" "$before" || fail snapshot
    sync
}

put_back() {
    [ -d "$before" ] || {
        injecting=no
        return 0
    }
    rm -f "$record.new"
    if [ -e "$before/.absent" ]; then
        rm -rf "$kcm" "$before"
    else
        rm -rf "$kcm.broken"
        { [ ! -e "$kcm" ] || mv "$kcm" "$kcm.broken"; } && mv "$before" "$kcm" || return 1
        rm -rf "$kcm.broken"
    fi
    injecting=no
    sync
}

commit() {
    {
        printf '%s\n' "$record_text"
        echo "kcm=$(kcm_digest "$kcm")"
    } >"$record.new" || fail record
    sync
    trap '' INT TERM
    mv "$before" "$discard" || fail record
    injecting=no
    mv "$record.new" "$record"
    trap 'fail terminated' INT TERM
    sync
    rm -rf "$discard"
}

# Whether a killed run or a power cut left anything.
left_over() {
    for path in "$before" "$before.part" "$discard" "$kcm.broken" "$record.new" "$inputs/.$mark"; do
        [ ! -e "$path" ] || return 0
    done
    inputs_are_mounted
}

# Completes or undoes it. The lock is held, so nobody is at work on it.
recover() {
    left_over || return 0
    if [ "$may_change" = no ]; then
        say interrupted yes
        return
    fi
    drop_inputs
    if [ -d "$before" ]; then
        stop_client
        end_stray_utilities
        put_back || fail put-back
        start_client
    elif [ -f "$record.new" ]; then
        mv "$record.new" "$record"
    fi
    rm -rf "$discard" "$before.part" "$kcm.broken"
    say recovered yes
}

# The factory copy changes with each `--provision` and with nothing else.
kcm_digest() { (cd "$1/BACKUP" 2>/dev/null && sha256sum ./* 2>/dev/null) | sha256sum | cut -d' ' -f1; }

# An exchange whose connection was lost may be sent again by Ansible, after it had done its work.
is_done_already() {
    [ -f "$record" ] && [ ! -e "$before" ] && now=$(kcm_digest "$kcm") && [ "$now" != "$found_digest" ] &&
        grep -qx "fingerprint=$fingerprint" "$record" && grep -qx "kcm=$now" "$record"
}

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
    echo # whatever a log-in said before may lack its line end
    trap on_exit EXIT
    # A lost connection must not stop the work half-way; a signal to end it undoes it.
    trap '' HUP PIPE
    trap 'fail terminated' INT TERM
    [ -d "${kcm%/*}" ] || fail no-mbl
    take_lock
    recover
}

end() {
    say "done" yes
    exit 0
}

inspect() {
    begin
    say time "$(date +%s)"
    if [ -x "$utility" ]; then say utility yes; else say utility no; fi
    if client_runs; then say client-runs yes; else say client-runs no; fi
    [ ! -f "$record" ] || say_each_line record <"$record"
    held=$kcm
    [ ! -d "$before" ] || held=$before
    if [ -d "$held/WORKING" ]; then
        say kcm-digest "$(kcm_digest "$held")"
        for file in "$held"/WORKING/*; do say item-file "${file##*/}"; done
        for name in $certificate_files; do
            [ ! -f "$held/WORKING/$name" ] || od -v -b "$held/WORKING/$name" | while read -r _ octets; do
                say "content-$name" "$octets"
            done
        done
        if [ -x "$utility" ] && [ "$held" = "$kcm" ]; then
            run_utility --get-pelion-status
            say status-code "$code"
            say_each_line status <"$lock/output"
        fi
    fi
    telling_lines | say_each_line log
    end
}

inject() {
    begin
    [ -x "$utility" ] || fail no-utility
    if ! is_done_already; then
        stop_client
        [ "$bootstrap" != not-yet ] || [ ! -e "$kcm/WORKING/${lwm2m_files%% *}" ] || fail bootstrapped-since
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
        start_client
    fi
    release_lock
    await_registration
    end
}

reconnect() {
    begin
    stop_client
    start_client
    release_lock
    await_registration
    end
}
