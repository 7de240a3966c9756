# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash # for `local`, which busybox's ash has as well
# shellcheck disable=SC2015 # `a && b || fail`: fail is for both
#
# The program that a board runs, sent to `/bin/sh` over its standard input by board.py, which adds the
# values and the call at the end in one pair of braces: a text that was cut off on the way does nothing.
#
# It knows the tools of MBL's production images only (busybox without base64, timeout, chmod, id, pidof,
# mountpoint, flock, ..., and no options that OpenEmbedded's configuration leaves out) and answers in lines
# `mbl:KEY=VALUE`, among them `mbl:done=yes` when all was done that was asked.
#
# A new set of items is built in $beside, which is mounted over $kcm for that time, so that whatever ends the work
# leaves the old set under its name. Two renames by way of $old then put the new set in its place. Where nothing can
# be mounted, the work is done in $kcm itself and $before is the journal: as long as it exists, $kcm is not to be
# trusted, and $before is what the board held. (Boards provisioned by 0.1.0 may hold one as well.) All of these
# appear and go by rename only.

set -u
umask 077
ulimit -c 0 # the utility crashes when the storage is full, and a core would hold the keys
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

utility=/opt/arm/pelion-provisioning-util
client=mbl-cloud-client
kcm=/config/user/pal
beside=$kcm.new
old=$kcm.old
before=$kcm.before
discard=$kcm.discard
record=/config/user/pelion-mbl.record
device=/config/user/pelion-mbl.device
inputs=/scratch/provisioning-certs
mark=pelion-mbl
run=/run/pelion-mbl
log=/var/log/mbl-cloud-client.log

# What board.py sets before its call.
may_change=no          # yes, or no for a look
lock_timeout=0         # seconds
utility_timeout=0      # seconds
registration_timeout=0 # seconds
bootstrap=as-is        # or not-yet, keep-identity, new-identity: see Board.inject
found_digest=          # the KCM's, as the inspection found it
fingerprint=           # of the items
record_text=           # the record's lines, but for the KCM's digest
input_files=           # names of the files that the utility reads, in the order of inputs_digest
inputs_digest=         # SHA-256 over their contents
certificates=          # lines "FILE OFFSET LENGTH SHA256" of what the KCM must hold afterwards
item_files=            # file names of the factory items
encrypted_files=       # those of them that are encrypted with fresh randomness
certificate_files=     # those that are read back
lwm2m_files=           # what makes the client register instead of bootstrap, the server's URI first
client_writes=         # the factory item whose working copy the client may change
# and, for inject, the function write_items, which writes the files into $inputs.
write_items() { return 1; }

# How far this run has come.
locked=no
injecting=no      # or beside, journal: what put_back has to undo
client_stopped=no # whether on_exit has to start it
running=          # the utility's process
code=             # its last exit code
told=             # the lines of the client's log that tell its state
former=           # digests of the items before
checked=          # the KCM's digest when it was checked

say() { printf 'mbl:%s=%s\n' "$1" "$2"; }

say_each_line() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do say "$1" "$line"; done
}

# Ends the program; on_exit undoes what was begun.
fail() {
    say error "$1"
    printf '%s\n' "${2:-}" | say_each_line detail
    exit 1
}

uptime_seconds() {
    local seconds
    read -r seconds _ </proc/uptime
    echo "${seconds%%.*}"
}

# For so many milliseconds: `sleep` knows whole seconds only, and `usleep` may be missing.
pause() { usleep "${1}000" 2>/dev/null || sleep 1; }

on_exit() {
    trap - EXIT
    trap '' INT TERM
    end_utility
    [ "$locked" = no ] || [ "$may_change" = no ] || drop_inputs
    if [ "$injecting" != no ]; then
        if put_back; then
            say undone yes
        else
            say undone no
            client_stopped=no # it would start with what is left
        fi
    fi
    [ "$client_stopped" = no ] || start_client
    [ ! -d "$run/under" ] || while umount "$run/under" 2>/dev/null; do :; done
    release_lock
}

### Processes

# Sets $state, $parent and $started (ticks since boot) of process $1; false when there is none.
look_at() {
    local fields
    read -r fields 2>/dev/null <"/proc/$1/stat" && [ -n "$fields" ] || return 1
    # The name, in parentheses, may have blanks and parentheses itself.
    # shellcheck disable=SC2086
    set -- ${fields##*) }
    state=$1 parent=$2
    shift 19
    started=$1
}

lives() { look_at "$1" && [ "$state" != Z ]; } # what look_at sets is the caller's

is_named() {
    local name
    read -r name 2>/dev/null <"/proc/$1/comm" && [ "$name" = "$2" ] && lives "$1"
}

# The first living process of a name (the kernel keeps 15 characters of it).
process_named() {
    local directory
    for directory in /proc/[0-9]*; do
        is_named "${directory#/proc/}" "$1" && echo "${directory#/proc/}" && return
    done
    return 1
}

# `systemctl is-active` answers "active" for a daemon that has died.
client_process() { process_named mbl-cloud-clien; }

### One at a time: the utility has no lock of its own.
#
# The lock is the highest-numbered link in $run; it points to its holder: boot, process, start of the process. To
# take it is to make the next one, which is atomic and can be done only once. The highest is never removed, so who
# chose a number by an outdated look sees a higher one afterwards, and withdraws.

newest_lock() {
    local newest link number
    newest=0
    for link in "$run"/lock.*; do
        number=${link##*.}
        case $number in *[!0-9]*) continue ;; esac
        [ "$number" -le "$newest" ] || newest=$number
    done
    echo "$newest"
}

identity() {
    local boot state parent started
    read -r boot </proc/sys/kernel/random/boot_id
    look_at "$1" && echo "$boot:$1:$started"
}

holder_of() { readlink "$run/lock.$1" 2>/dev/null; }

# A process that was killed, or whose number went to another one, holds nothing.
is_held_by() {
    local process
    process=${1#*:}
    process=${process%:*}
    case $process in '' | *[!0-9]*) return 1 ;; esac
    lives "$process" && [ "$(identity "$process")" = "$1" ]
}

claim_lock() {
    local latest link
    latest=$(newest_lock)
    is_held_by "$(holder_of "$latest")" && return 1
    lock=$((latest + 1))
    ln -s "$(identity $$)" "$run/lock.$lock" 2>/dev/null || return 1
    if [ "$(newest_lock)" != "$lock" ]; then
        rm -f "$run/lock.$lock"
        return 1
    fi
    locked=yes
    for link in "$run"/lock.*; do
        [ "${link##*.}" -ge "$lock" ] || rm -f "$link"
    done
}

take_lock() {
    local deadline holder foreign
    mkdir -p "$run" 2>/dev/null && [ -w "$run" ] || fail no-run
    deadline=$(($(uptime_seconds) + lock_timeout))
    until claim_lock; do
        [ "$(uptime_seconds)" -lt "$deadline" ] || {
            holder=$(holder_of "$(newest_lock)")
            holder=${holder#*:}
            fail locked "${holder%:*}"
        }
        pause 200
    done
    # Another tool's utility knows no lock.
    while foreign=$(foreign_utility); do
        [ "$(uptime_seconds)" -lt "$deadline" ] || fail foreign-utility "$foreign"
        pause 200
    done
}

release_lock() {
    [ "$locked" = no ] || { ln -s free "$run/lock.$((lock + 1))" && rm -f "$run/lock.$lock"; }
    locked=no
}

### The cloud client

stop_client() {
    local output
    client_stopped=yes
    output=$(systemctl stop "$client" 2>&1) || fail stop-client "$output"
}

# What the client said before is of no account from here on, so the end of its log is noted, and with it the process,
# to be known again.
start_client() {
    local position output process ours
    client_stopped=no
    position=$(stat -c '%i %s' "$log" 2>/dev/null) || position='0 0'
    # Signals that we ignore, it would ignore as well where it becomes a child of ours.
    output=$(trap : HUP PIPE INT TERM && systemctl start "$client" 2>&1) || printf '%s\n' "$output" | say_each_line client-error
    process=$(client_process) && ours=$(identity "$process") || ours=none
    echo "$ours $position" >"$run/client"
}

# Whether the client that runs is the one that we started: then its log is known to the byte.
is_our_client() {
    local ours process
    read -r ours _ 2>/dev/null <"$run/client" && process=$(client_process) && [ "$(identity "$process")" = "$ours" ]
}

# The log from the noted position on, through rotations: by renaming (the file is another one by now) or by copying
# and truncating (it has become shorter, and what it was is the next one).
log_of_our_client() {
    local file_then end_then newer truncated file now
    [ -f "$run/client" ] || return
    read -r _ file_then end_then <"$run/client"
    newer='' truncated=no
    for file in "$log" "$log.1" "$log.2" "$log.3" "$log.4"; do
        [ -f "$file" ] && now=$(stat -c '%i %s' "$file" 2>/dev/null) || continue
        if [ "${now% *}" = "$file_then" ] || [ "$truncated" = yes ]; then
            [ "${now#* }" -lt "$end_then" ] || {
                tail -c "+$((end_then + 1))" "$file"
                break
            }
            truncated=yes
        fi
        newer="$file $newer"
    done
    # shellcheck disable=SC2086
    [ -z "$newer" ] || cat $newer
}

# The lines that tell its state: the last ones, and the one that names the device.
telling() {
    grep -E 'Client registered|registration_updated|Device Id: |Error (occurred|code|details)|not configured|Certificate expired' |
        awk '
            { lines[NR % 20] = $0 }
            /Device Id: / { named = NR; name = $0 }
            END {
                if (named && named <= NR - 20) print name
                for (i = NR - 19; i <= NR; i++) if (i > 0) print lines[i % 20]
            }'
}

log_of_client() {
    if is_our_client; then log_of_our_client; else whole_log; fi | telling
}

# Something else in its place, such as a pipe, would be waited for without end.
whole_log() {
    local file
    for file in "$log.4" "$log.3" "$log.2" "$log.1" "$log"; do [ ! -f "$file" ] || cat "$file" 2>/dev/null; done
}

# Ends as well when the client has died, for which it needs a few seconds: it leaves its launcher first. What was read is
# kept: read once more, the log may be in the middle of a rotation.
await_registration() {
    local deadline absent
    deadline=$(($(uptime_seconds) + registration_timeout))
    absent=0
    while
        told=$(log_of_our_client | telling)
        case $told in *'Device Id: '*) false ;; esac && [ "$(uptime_seconds)" -lt "$deadline" ] && [ "$absent" -lt 15 ]
    do
        if client_process >/dev/null; then absent=0; else absent=$((absent + 1)); fi
        pause 200
    done
    printf '%s\n' "$told" | say_each_line log
    if client_process >/dev/null; then say client-runs yes; else say client-runs no; fi
}

# The log is rotated away in time, so the device ID that it told is kept, with the KCM that it was seen with; written
# once.
remember_device() {
    local id seen
    id=$(printf '%s\n' "$told" | grep 'Device Id: ' | tail -n 1)
    id=${id##* }
    case $id in *[!0-9a-f]*) return ;; esac
    [ ${#id} = 32 ] || return
    seen="kcm=$(kcm_digest "$kcm")
device_id=$id"
    [ ! -f "$device" ] || [ "$seen" != "$(cat "$device")" ] || return
    { printf '%s\n' "$seen" >"$device.new" && sync && mv "$device.new" "$device"; } 2>/dev/null || rm -f "$device.new"
}

### The utility

# Its output goes to $run/output, its exit code to $code. There is no `timeout`, and it can wait long for randomness.
run_utility() {
    local utility_end nap
    utility_end=$(($(uptime_seconds) + utility_timeout))
    "$utility" "$1" >"$run/output" 2>&1 </dev/null &
    running=$!
    nap=5
    while is_our_child "$running"; do
        if [ "$(uptime_seconds)" -ge "$utility_end" ]; then
            say utility-timeout "$utility_timeout"
            kill -9 "$running"
        fi
        pause "$nap"
        [ "$nap" -ge 100 ] || nap=$((nap * 2))
    done
    wait "$running"
    code=$?
    running=
}

is_our_child() {
    local state parent started
    lives "$1" && [ "$parent" = $$ ]
}

# A utility that outlived us would write into the KCM that was put back.
end_utility() {
    [ -z "$running" ] || ! is_our_child "$running" || kill -9 "$running"
    [ -z "$running" ] || wait "$running" 2>/dev/null
    running=
}

# One of ours writes its output where only we do.
is_ours() {
    case $(readlink "/proc/$1/fd/1" 2>/dev/null) in "$run"*) return 0 ;; esac
    return 1
}

foreign_utility() {
    local directory process
    for directory in /proc/[0-9]*; do
        process=${directory#/proc/}
        is_named "$process" pelion-provisio && ! is_ours "$process" && echo "$process" && return
    done
    return 1
}

# Those of a run that was killed.
end_stray_utilities() {
    local directory process
    for directory in /proc/[0-9]*; do
        process=${directory#/proc/}
        while is_named "$process" pelion-provisio && is_ours "$process"; do
            kill -9 "$process"
            pause 50
        done
    done
}

### What it reads: the items, in memory if the board can

# The mount's source is our mark, so that a mount left by a killed run is known for ours.
inputs_are_mounted() { grep -q "^$mark $(readlink -f "$inputs") " /proc/mounts; }

make_inputs() {
    local made_inputs
    [ -d "${inputs%/*}" ] || fail no-scratch
    made_inputs=no
    rmdir "$inputs" 2>/dev/null
    [ -d "$inputs" ] || { mkdir "$inputs" && made_inputs=yes; } || fail inputs
    if mount -t ramfs -o mode=0700 "$mark" "$inputs" 2>/dev/null; then
        [ "$made_inputs" = no ] || : >"$inputs/.$mark"
    elif [ "$made_inputs" = yes ]; then
        say inputs disk
        : >"$inputs/.$mark"
    else
        fail inputs-taken
    fi
}

# Another tool that provisions at the same time writes into the same directory.
inputs_are_ours() {
    # shellcheck disable=SC2086
    [ "$(cd "$inputs" && cat $input_files 2>/dev/null | sha256sum)" = "$inputs_digest  -" ]
}

# Opened for reading and writing, the file keeps its blocks; busybox's dd may not have conv=notrunc.
overwrite() { [ -L "$1" ] || dd if=/dev/zero bs="$(stat -c %s "$1")" count=1 1<>"$1" 2>/dev/null; }

# Emptied before it is unmounted: a process that sits in it keeps the mount, but not the keys.
drop_inputs() {
    local made_inputs file
    made_inputs=no
    while inputs_are_mounted; do
        [ ! -e "$inputs/.$mark" ] || made_inputs=yes
        for file in "$inputs"/*.bin; do [ ! -f "$file" ] || : >"$file"; done
        umount "$inputs" 2>/dev/null || {
            say inputs busy
            umount -l "$inputs" || return
        }
    done
    if [ -e "$inputs/.$mark" ]; then
        for file in "$inputs"/*.bin; do [ ! -f "$file" ] || overwrite "$file"; done
        sync
        made_inputs=yes
    fi
    [ "$made_inputs" = no ] || rm -rf "$inputs"
}

### Sets of items

# Of the files $2, names or a pattern, in the directory $1. Anything else there, such as a pipe, might be read without
# end.
digests_in() (
    cd "$1" 2>/dev/null || exit
    names=$2
    set --
    for file in $names; do [ ! -f "$file" ] || set -- "$@" "$file"; done
    [ $# = 0 ] || sha256sum "$@" 2>/dev/null
)

# The factory copy changes with each `--provision` and with nothing else. Where a working copy differs from it, that
# counts too; but that of the bootstrap URI is the client's to change, once it has bootstrapped.
kcm_digest() {
    local backup working line
    backup=$(digests_in "$1/BACKUP" './*')
    working=$(digests_in "$1/WORKING" './*')
    printf '%s' "${backup:+$backup
}" | while read -r line; do
        printf '%s\n' "$line"
        case $working in
        *"$line"*) ;;
        *) [ "${line##*/}" = "$client_writes" ] || echo differs ;;
        esac
    done | sha256sum | cut -d' ' -f1
}

# Each item, in both copies, which are the same but for what the client may change.
has_every_item() {
    local name
    for name in $item_files; do
        [ -s "$1/BACKUP/$name" ] && [ -s "$1/WORKING/$name" ] || return 1
        [ "$name" = "$client_writes" ] || cmp -s "$1/WORKING/$name" "$1/BACKUP/$name" || return 1
    done
}

item_digests() { digests_in "$1/BACKUP" "$encrypted_files"; }

# Whether `--provision` stored every item since $2, former digests: it encrypts with fresh randomness.
differs_in_every_item() {
    local line
    item_digests "$1" | while read -r line; do
        case $2 in *"$line"*) exit 1 ;; esac
    done
}

is_recorded() { [ -f "$2" ] && [ -d "$1/BACKUP" ] && grep -qx "kcm=$(kcm_digest "$1")" "$2"; }

# The intended record is written after the check, and names what was checked.
is_checked() { has_every_item "$1" && is_recorded "$1" "$record.new"; }

is_whole() {
    has_every_item "$1" || return 1
    is_recorded "$1" "$record.new" || is_recorded "$1" "$record" || {
        run_utility --get-pelion-status
        [ "$code" = 0 ]
    }
}

### The transaction

same_place() { [ "$(stat -c %d:%i "$1" 2>/dev/null)" = "$(stat -c %d:%i "$2" 2>/dev/null)" ]; }

beside_is_mounted() { [ -d "$beside" ] && same_place "$beside" "$kcm"; }

unmount_beside() {
    while beside_is_mounted; do umount "$kcm" 2>/dev/null || umount -l "$kcm" || return; done
}

mount_beside() { mount -o bind "$beside" "$kcm" 2>/dev/null && beside_is_mounted; }

# Runs a command; what it said is in $output.
attempt() { output=$("$@" 2>&1); }

# From here on $kcm is a set to work on: a copy of the old one that is mounted over it or, where nothing can be mounted,
# the old one itself, with a journal. An identity that is not to stay is not in it.
open_transaction() {
    local output
    former=$(item_digests "$kcm")
    injecting=beside
    if [ -d "$kcm" ] && [ "$bootstrap" != new-identity ]; then
        attempt cp -a "$kcm" "$beside" || fail snapshot "$output"
    else
        attempt mkdir "$beside" || fail snapshot "$output"
    fi
    [ -d "$kcm" ] || attempt mkdir "$kcm" || fail snapshot "$output" # something to mount on
    mount_beside || open_journal
    clear_items
}

open_journal() {
    local output
    say way journal
    put_back || fail put-back
    copy_for_journal || {
        throw_away "$before.part"
        fail snapshot "$output"
    }
    sync
    injecting=journal
    mv "$before.part" "$before" || fail snapshot
    sync
    [ "$bootstrap" != new-identity ] || throw_away "$kcm"
}

# What the board holds now, or a mark that it holds nothing.
copy_for_journal() {
    if [ -d "$kcm" ]; then
        attempt cp -a "$kcm" "$before.part"
    else
        attempt mkdir "$before.part" && : >"$before.part/.absent"
    fi
}

# The utility refuses to store over a damaged file. It is to store all of these anew, so none need be there; what the
# client keeps beside them, its identity, stays.
clear_items() {
    local name
    for name in $item_files; do rm -rf "$kcm/WORKING/$name" "$kcm/BACKUP/$name"; done
}

# Undoes what this run has begun.
put_back() {
    rm -f "$record.new"
    if [ "$injecting" = beside ]; then
        unmount_beside || return
        if [ -d "$old" ]; then take_old; fi || return
        throw_away "$beside"
        rmdir "$kcm" 2>/dev/null
    else
        take_before || return
    fi
    injecting=no
    sync
}

take_old() { throw_away "$kcm" && mv "$old" "$kcm"; }

take_before() {
    [ -d "$before" ] || return 0
    throw_away "$kcm" || return
    if [ -e "$before/.absent" ]; then throw_away "$before"; else mv "$before" "$kcm"; fi
}

# Gone at once, by a rename: half a set is never found under a name that means something. What stays of it in free
# blocks cannot be read without its root of trust, so that is overwritten, on the disk, once the rename is there.
throw_away() {
    local set
    for set in "$discard" "$@"; do
        [ -e "$set" ] || continue
        [ "$set" = "$discard" ] || mv "$set" "$discard" || return
        if [ -f "$discard/flashSim" ]; then sync && overwrite "$discard/flashSim" && sync; fi
        rm -rf "$discard"
    done
}

commit() {
    {
        printf '%s\n' "$record_text"
        echo "kcm=$checked"
    } >"$record.new" || fail record
    sync # what the utility wrote, before a name says that it is good
    if [ "$injecting" = beside ]; then
        unmount_beside || fail unmount
        has_lasted "$beside"
        trap '' INT TERM
        mv "$kcm" "$old" && mv "$beside" "$kcm" || fail swap
    else
        has_lasted "$kcm"
        trap '' INT TERM
        mv "$before" "$discard" || fail swap
    fi
    injecting=no
    say committed yes
    mv "$record.new" "$record"
    sync
    trap 'fail terminated' INT TERM
    throw_away "$old"
}

# Another tool's utility, which knows no lock, may have written into the new set since it was checked.
has_lasted() {
    local foreign
    foreign=$(foreign_utility) && fail foreign-utility "$foreign"
    is_checked "$1" || fail changed-since
}

### What a killed run or a power cut left

leftovers() {
    local path
    for path in "$beside" "$beside.part" "$old" "$before" "$before.part" "$discard" "$kcm.broken" "$record.new" \
        "$device.new" "$inputs/.$mark"; do
        [ ! -e "$path" ] && [ ! -L "$path" ] || return 0
    done
    inputs_are_mounted
}

# Completes or undoes it. The lock is held, so nobody is at work on it.
recover() {
    leftovers || return 0
    if [ "$may_change" = no ]; then
        say interrupted yes
        return
    fi
    end_stray_utilities
    drop_inputs
    if [ -d "$beside" ] || [ -d "$old" ] || [ -d "$before" ]; then
        stop_client
        unmount_beside && settle || {
            client_stopped=no # it would start with what is left
            fail put-back
        }
    fi
    if is_recorded "$kcm" "$record.new"; then mv "$record.new" "$record"; fi
    sync
    throw_away "$beside" "$beside.part" "$before.part" "$kcm.broken"
    rm -f "$record.new" "$device.new"
    rmdir "$kcm" 2>/dev/null # made to be mounted on
    client_stopped=no
    client_process >/dev/null || start_client
    say recovered yes
}

# A set that is whole stays where it is, whoever put it there; one that was checked is put in its place; else the old
# one is put back.
settle() {
    if [ -d "$old" ]; then
        if is_whole "$kcm"; then
            throw_away "$old"
        elif is_checked "$beside"; then
            throw_away "$kcm" && mv "$beside" "$kcm" && sync && throw_away "$old"
        else
            take_old
        fi
    elif [ -d "$before" ]; then
        if is_renewed && is_whole "$kcm"; then throw_away "$before"; else take_before; fi
    fi
}

is_renewed() { has_every_item "$kcm" && differs_in_every_item "$kcm" "$(item_digests "$before")"; }

# What the board holds once that has been done, for one who may not do it.
held_kcm() {
    if beside_is_mounted; then
        # What lies under the mount can be seen through another one of the directory around it.
        mkdir -p "$run/under" && mount -o bind "${kcm%/*}" "$run/under" && echo "$run/under/${kcm##*/}"
    elif [ -d "$old" ]; then
        if has_every_item "$kcm"; then echo "$kcm"; elif is_checked "$beside"; then echo "$beside"; else echo "$old"; fi
    elif [ -d "$before" ] && ! is_renewed; then
        echo "$before"
    else
        echo "$kcm"
    fi
}

### Injecting

# An exchange whose connection was lost may be sent again by Ansible, after it had done its work.
is_done_already() {
    [ "$(kcm_digest "$kcm")" != "$found_digest" ] && is_recorded "$kcm" "$record" &&
        grep -qx "fingerprint=$fingerprint" "$record"
}

# Removes what makes the client register instead of bootstrap; it does the same itself for this purpose.
forget_bootstrap() {
    local name
    for name in $lwm2m_files; do rm -f "$kcm/WORKING/$name"; done
}

# The utility's status overlooks missing update items, and its exit code what it left of an earlier set.
check_kcm() {
    local name offset length digest found wrong
    checked=$(kcm_digest "$kcm") # before it is looked at: another tool's utility may write at any moment
    has_every_item "$kcm" && cmp -s "$kcm/WORKING/$client_writes" "$kcm/BACKUP/$client_writes" ||
        fail check "An item is missing after it, or its two copies differ."
    differs_in_every_item "$kcm" "$former" || fail check "It left items of the old set."
    printf '%s\n' "$certificates" | while read -r name offset length digest; do
        found=$(dd if="$kcm/BACKUP/$name" bs=1 skip="$offset" count="$length" 2>/dev/null | sha256sum)
        [ "${found%% *}" = "$digest" ] || echo "$name"
    done >"$run/output"
    wrong=$(cat "$run/output")
    [ -z "$wrong" ] || fail check "The KCM holds another certificate than the one injected (file $wrong)."
    run_utility --get-pelion-status
    [ "$code" = 0 ] || fail_of_utility check
}

fail_of_utility() {
    say utility-code "$code"
    fail "$1" "$(cat "$run/output")"
}

# What a link leads to is not ours. /scratch may be one, since nothing below it is taken for what it is not.
refuse_links() {
    local set path
    [ ! -L "$inputs" ] || fail link "$inputs"
    for set in "$kcm" "$beside" "$old" "$before" "$discard"; do
        for path in "$set" "$set/WORKING" "$set/BACKUP"; do [ ! -L "$path" ] || fail link "$path"; done
    done
}

### What the controller calls

begin() {
    local path
    echo # whatever a log-in said before may lack its line end
    trap on_exit EXIT
    # A lost connection must not stop the work half-way; a signal to end it undoes it.
    trap '' HUP PIPE
    trap 'fail terminated' INT TERM
    [ -d "${kcm%/*}" ] || fail no-mbl
    refuse_links
    take_lock
    recover
}

end() {
    say "done" yes
    exit 0
}

# For each directory the free kB, and rw or ro.
space() {
    local directory free point options
    for directory in "${kcm%/*}" "${inputs%/*}" "${log%/*}"; do
        df -kP "$directory" 2>/dev/null | tail -n 1 | {
            read -r _ _ _ free _ point
            options=$(awk -v point="$point" '$2 == point { options = $4 } END { print options }' /proc/mounts)
            say space "$directory ${free:-} ${options%%,*}"
        }
    done
}

inspect() {
    local held file name octets question process state parent started uptime
    begin
    if [ "$may_change" = yes ] && is_our_client; then
        told=$(log_of_our_client | telling)
        remember_device
    fi
    held=$(held_kcm)
    if is_recorded "$held" "$record.new"; then say_each_line record <"$record.new"
    elif [ -f "$record" ]; then say_each_line record <"$record"; fi
    [ ! -f "$device" ] || say_each_line device <"$device"
    if [ -d "$held/WORKING" ]; then
        say kcm-digest "$(kcm_digest "$held")"
        for file in "$held"/WORKING/*; do [ ! -e "$file" ] || say item-file "${file##*/}"; done
        for name in $certificate_files; do
            file=$held/WORKING/$name
            # No certificate is that large, and the answer has to end.
            [ -f "$file" ] && [ "$(stat -c %s "$file")" -le 65536 ] || continue
            od -v -b "$file" | while read -r _ octets; do
                say "content-$name" "$octets"
            done
        done
    fi
    if [ -x "$utility" ]; then
        # Asked for the status without a KCM, it would make one.
        if [ "$held" = "$kcm" ] && [ -d "$kcm/WORKING" ]; then question=--get-pelion-status; else question=--help; fi
        run_utility "$question"
        say "utility$question" "$code"
        say_each_line status <"$run/output"
    fi
    space
    say kernel "$(uname -rm)"
    [ ! -f /etc/os-release ] || say_each_line image </etc/os-release
    if is_our_client; then say log-since start; fi
    log_of_client | say_each_line log
    if process=$(client_process) && look_at "$process"; then say client-start "$started"; fi
    read -r uptime _ </proc/uptime
    say uptime "$uptime"
    say time "$(date +%s)"
    end
}

inject() {
    local injected
    begin
    [ -x "$utility" ] || fail no-utility
    if is_done_already; then
        say way already
        injected=$(kcm_digest "$kcm")
    else
        [ "$(kcm_digest "$kcm")" = "$found_digest" ] || fail changed-since
        stop_client
        [ "$bootstrap" != not-yet ] || [ ! -e "$kcm/WORKING/${lwm2m_files%% *}" ] || fail bootstrapped-since
        open_transaction
        make_inputs
        write_items && inputs_are_ours || fail inputs
        run_utility --provision
        inputs_are_ours || fail inputs-changed
        drop_inputs
        [ "$code" = 0 ] || fail_of_utility utility
        [ "$bootstrap" != keep-identity ] || forget_bootstrap
        check_kcm
        commit
        injected=$checked
        start_client
    fi
    prove "$injected"
}

# Whether a KCM of the digest $1 is what the board holds and registers with. The lock is not needed while the client is
# on its way, which may take minutes.
prove() {
    release_lock
    await_registration
    if claim_lock; then # else another run is at work, and will tell for itself
        [ "$(kcm_digest "$kcm")" = "$1" ] || fail overwritten
        remember_device
    fi
    end
}

# Back to what a board holds that was just flashed, in one rename: a cut leaves the whole set or none. The client is left
# stopped, as it would bootstrap again with nothing.
empty() {
    local foreign
    begin
    if [ -e "$kcm" ]; then # else the exchange was repeated after it had done its work
        [ "$(kcm_digest "$kcm")" = "$found_digest" ] || fail changed-since
        foreign=$(foreign_utility) && fail foreign-utility "$foreign"
        stop_client
        throw_away "$kcm" || fail swap
    fi
    rm -f "$record" "$device"
    sync
    client_stopped=no
    end
}

reconnect() {
    local injected
    begin
    stop_client
    injected=$(kcm_digest "$kcm")
    start_client
    prove "$injected"
}
