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
# A process costs milliseconds on such a board, so the shell does itself what it can: what a function finds out, it
# leaves in a variable of the name that its comment has, instead of printing it; files are read by `read`, texts are
# taken apart by expansions. Only what is long, such as a log, is given to a program that reads it faster.
#
# A new set of items is built in $beside, which is mounted over $kcm for that time, so that whatever ends the work
# leaves the old set under its name. Two renames by way of $old then put the new set in its place. All of these appear
# and go by rename only. Version 0.1.0 worked in $kcm itself, and $before was its journal: where one is left, $kcm is
# not to be trusted, and $before is what the board held.

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
time_limit=0           # seconds for all of it
last_respite=0         # seconds more for undoing what was begun
registration_timeout=0 # seconds
server_host=           # where the client is to connect to; empty when that is not to be tried
server_port=
server_patience=0      # seconds to try it for: a board may just have started
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
watcher=          # the process that ends this one when its time is over
locked=no
injecting=no      # yes when there is something that put_back has to undo
client_stopped=no # whether on_exit has to start it
running=          # the utility's process
code=             # its last exit code
told=             # the lines of the client's log that tell its state
former=           # digests of the items before
checked=          # the KCM's digest when it was checked

newline='
'

say() { printf 'mbl:%s=%s\n' "$1" "${2:-}"; }

# For each line of the text $2.
say_each_line() {
    local line IFS
    IFS=$newline
    set -f
    for line in $2; do say "$1" "$line"; done
    set +f
}

# For each line of the file $2, a short one.
say_each_line_of() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do say "$1" "$line"; done <"$2"
}

# Whether the file $2, a short one, has the line $1.
has_line() {
    local line
    [ -f "$2" ] || return 1
    while IFS= read -r line || [ -n "$line" ]; do [ "$line" != "$1" ] || return 0; done <"$2"
    return 1
}

# Ends the program; on_exit undoes what was begun.
fail() {
    say error "$1"
    say_each_line detail "${2:-}"
    exit 1
}

# $now: seconds since the kernel was started.
look_at_clock() {
    read -r now _ </proc/uptime
    now=${now%%.*}
}

# For so many milliseconds: `sleep` knows whole seconds only, and `usleep` may be missing.
pause() { usleep "${1}000" 2>/dev/null || sleep 1; }

on_exit() {
    trap - EXIT
    trap '' INT TERM ALRM
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
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
}

### Processes

# $state, $parent and $started (ticks since boot) of process $1; false when there is none.
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

# $process: the first living one of a name (the kernel keeps 15 characters of it).
find_process() {
    local directory
    for directory in /proc/[0-9]*; do
        process=${directory#/proc/}
        is_named "$process" "$1" && return
    done
    process=
    return 1
}

# $process. `systemctl is-active` answers "active" for a daemon that has died.
find_client() { find_process mbl-cloud-clien; }

# $identity of process $1, which no other one has.
identify() {
    local boot state parent started
    read -r boot </proc/sys/kernel/random/boot_id
    look_at "$1" && identity=$boot:$1:$started
}

### Its time is limited

# Whatever this program waits for, such as a read of a failing disk, it must not keep the board and its lock for ever.
# When the time is over, what it has started is killed, so that it goes on, fails, and undoes what it began. If that does
# not end it either, it is killed itself, which is as a power cut. Nobody can kill a process that the kernel keeps waiting
# for a disk; but then the lock is free.
watch_time() {
    (
        trap - EXIT
        exec </dev/null >/dev/null 2>&1 # the connection is not kept open by this process
        nap=
        trap 'kill "$nap"; exit' TERM
        sleep "$time_limit" &
        nap=$!
        wait "$nap"
        is_watched || exit
        end_with ALRM
        sleep "$last_respite" &
        nap=$!
        wait "$nap"
        is_watched || exit
        end_with KILL
    ) &
    watcher=$!
}

# For the watcher: its parent is another one when what it watches was killed.
is_watched() {
    local state parent started
    look_at self && [ "$parent" = $$ ]
}

# Sends this program the signal $1, and kills what it has started; that is found before, as it may be another one's
# afterwards.
end_with() {
    local below
    below=
    find_below $$
    kill "-$1" $$
    # shellcheck disable=SC2086
    kill -9 $below
}

# $below, more of it: what the process $1 has started and these have, but for the watcher.
find_below() {
    local directory process state parent started
    for directory in /proc/[0-9]*; do
        process=${directory#/proc/}
        look_at "$process" && [ "$parent" = "$1" ] && [ ! /proc/self -ef "$directory" ] || continue
        find_below "$process"
        below="$below $process"
    done
}

out_of_time() {
    [ -z "$running" ] || say utility-timeout "$time_limit"
    fail too-slow "$time_limit"
}

### One at a time: the utility has no lock of its own.
#
# The lock is the highest-numbered link in $run; it points to its holder: boot, process, start of the process. To
# take it is to make the next one, which is atomic and can be done only once. The highest is never removed, so who
# chose a number by an outdated look sees a higher one afterwards, and withdraws.

# $newest: its number.
find_newest_lock() {
    local link number
    newest=0
    for link in "$run"/lock.*; do
        number=${link##*.}
        case $number in *[!0-9]*) continue ;; esac
        [ "$number" -le "$newest" ] || newest=$number
    done
}

# $newest, and $holder of it.
find_holder() {
    find_newest_lock
    holder=
    [ "$newest" = 0 ] || holder=$(readlink "$run/lock.$newest" 2>/dev/null)
}

# Whether $holder still holds it: a process that was killed, or whose number went to another one, holds nothing.
is_held() {
    local process identity
    process=${holder#*:}
    process=${process%:*}
    case $process in '' | *[!0-9]*) return 1 ;; esac
    lives "$process" && identify "$process" && [ "$identity" = "$holder" ]
}

claim_lock() {
    local newest holder identity
    find_holder
    is_held && return 1
    lock=$((newest + 1))
    identify $$
    ln -s "$identity" "$run/lock.$lock" 2>/dev/null || return 1
    find_newest_lock
    if [ "$newest" != "$lock" ]; then
        rm -f "$run/lock.$lock"
        return 1
    fi
    locked=yes
}

take_lock() {
    local now deadline newest holder process
    [ -d "$run" ] || mkdir -p "$run" 2>/dev/null
    [ -w "$run" ] || fail no-run
    look_at_clock
    deadline=$((now + lock_timeout))
    until claim_lock; do
        look_at_clock
        [ "$now" -lt "$deadline" ] || {
            find_holder
            holder=${holder#*:}
            fail locked "${holder%:*}"
        }
        pause 200
    done
    # Another tool's utility knows no lock.
    while find_foreign_utility; do
        look_at_clock
        [ "$now" -lt "$deadline" ] || fail foreign-utility "$process"
        pause 200
    done
}

release_lock() {
    local link
    [ "$locked" = yes ] || return 0
    locked=no
    ln -s free "$run/lock.$((lock + 1))" || return
    set --
    for link in "$run"/lock.*; do [ "${link##*.}" -gt "$lock" ] || set -- "$@" "$link"; done
    rm -f "$@"
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
    local position output process identity
    client_stopped=no
    position=$(stat -c '%i %s' "$log" 2>/dev/null) || position='0 0'
    # Signals that we ignore, it would ignore as well where it becomes a child of ours.
    output=$(trap : HUP PIPE INT TERM && systemctl start "$client" 2>&1) || say_each_line client-error "$output"
    identity=none
    ! find_client || identify "$process"
    echo "$identity $position" >"$run/client"
}

# Whether the client, the process $1, is the one that we started: then its log is known to the byte.
is_our_client() {
    local ours identity
    read -r ours _ 2>/dev/null <"$run/client" && identify "$1" && [ "$identity" = "$ours" ]
}

# $told: what the log tells from the noted position on, through rotations: by renaming (the file is another one by now)
# or by copying and truncating (it has become shorter, and what it was is the next one).
read_log_of_our_client() {
    local file_then end_then newer truncated file now
    told=
    [ -f "$run/client" ] || return
    read -r _ file_then end_then <"$run/client"
    newer='' truncated=no
    for file in "$log" "$log.1" "$log.2" "$log.3" "$log.4"; do
        [ -f "$file" ] && now=$(stat -c '%i %s' "$file" 2>/dev/null) || continue
        if [ "${now% *}" = "$file_then" ] || [ "$truncated" = yes ]; then
            [ "${now#* }" -lt "$end_then" ] || {
                # shellcheck disable=SC2086
                told=$(tail -c "+$((end_then + 1))" "$file" | telling - $newer)
                return
            }
            truncated=yes
        fi
        newer="$file $newer"
    done
    # shellcheck disable=SC2086
    [ -z "$newer" ] || told=$(telling $newer)
}

# $told: what the whole log tells. Something else in its place, such as a pipe, would be waited for without end.
read_whole_log() {
    local file
    set --
    for file in "$log.4" "$log.3" "$log.2" "$log.1" "$log"; do [ ! -f "$file" ] || set -- "$@" "$file"; done
    told=
    [ $# = 0 ] || told=$(telling "$@")
}

# Of the files' lines those that tell the client's state: the last ones, and the one that names the device.
telling() {
    awk '
        /Client registered|registration_updated|Device Id: |Error (occurred|code|details)|not configured|Certificate expired/ {
            lines[++count % 20] = $0
            if (/Device Id: /) { named = count; name = $0 }
        }
        END {
            if (named && named <= count - 20) print name
            for (i = count - 19; i <= count; i++) if (i > 0) print lines[i % 20]
        }' "$@" 2>/dev/null
}

# Ends as well when the client has died, for which it needs a few seconds: it leaves its launcher first. What was read is
# kept: read once more, the log may be in the middle of a rotation.
await_registration() {
    local now deadline absent nap process
    look_at_clock
    deadline=$((now + registration_timeout))
    absent=0 nap=200
    while
        read_log_of_our_client
        look_at_clock
        case $told in *'Device Id: '*) false ;; esac && [ "$now" -lt "$deadline" ] && [ "$absent" -lt 15 ]
    do
        if find_client; then absent=0; else absent=$((absent + 1)); fi
        pause "$nap"
        [ "$nap" -ge 1000 ] || nap=$((nap + 40))
    done
    say_each_line log "$told"
    if find_client; then say client-runs yes; else say client-runs no; fi
}

# The log is rotated away in time, so the device ID that it $told is kept, with the digest $1 of the KCM that it was seen
# with; written once.
remember_device() {
    local id
    case $told in *'Device Id: '*) id=${told##*Device Id: } ;; *) return ;; esac
    id=${id%%"$newline"*}
    case $id in *[!0-9a-f]*) return ;; esac
    [ ${#id} = 32 ] || return
    ! has_line "kcm=$1" "$device" || ! has_line "device_id=$id" "$device" || return
    { printf '%s\n' "kcm=$1" "device_id=$id" >"$device.new" && sync && mv "$device.new" "$device"; } 2>/dev/null ||
        rm -f "$device.new"
}

### The utility

# Its output goes to $run/output, its exit code to $code. It can wait long for randomness; signals are heeded meanwhile.
# No file that it writes is large, and its output is kept in memory: one that talks without end is ended (SIGXFSZ).
run_utility() {
    (ulimit -f 2048 && exec "$utility" "$1") >"$run/output" 2>&1 </dev/null & # in blocks of 512 bytes
    running=$!
    wait "$running"
    code=$?
    running=
}

# $said: its output, as far as it tells anything.
read_output() { said=$(dd if="$run/output" bs=2048 count=1 2>/dev/null); }

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

# $process
find_foreign_utility() {
    local directory
    for directory in /proc/[0-9]*; do
        process=${directory#/proc/}
        is_named "$process" pelion-provisio && ! is_ours "$process" && return
    done
    process=
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

### What it reads: the items, in memory

# The mount's source is our mark, so that a mount left by a killed run is known for ours.
inputs_are_mounted() {
    local mounts
    mounts=$newline$(cat /proc/mounts)
    case $mounts in *"$newline$mark "*) ;; *) return 1 ;; esac
    case $mounts in *"$newline$mark $(readlink -f "$inputs") "*) ;; *) return 1 ;; esac
}

make_inputs() {
    local made_inputs output
    [ -d "${inputs%/*}" ] || fail no-scratch
    made_inputs=no
    rmdir "$inputs" 2>/dev/null
    [ -d "$inputs" ] || { mkdir "$inputs" && made_inputs=yes; } || fail inputs
    attempt mount -t ramfs -o mode=0700 "$mark" "$inputs" || {
        rmdir "$inputs" 2>/dev/null
        fail mount "$output"
    }
    [ "$made_inputs" = no ] || : >"$inputs/.$mark"
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
    if [ -e "$inputs/.$mark" ]; then # on the disk, by 0.1.0 where it could mount nothing
        for file in "$inputs"/*.bin; do [ ! -f "$file" ] || overwrite "$file"; done
        sync
        made_inputs=yes
    fi
    [ "$made_inputs" = no ] || rm -rf "$inputs"
}

### Sets of items

# $backup and $working: what `sha256sum` says of the files in the set $1, which are its factory and working copies.
# Anything else there than files, such as a pipe, might be read without end.
read_set() {
    local file line IFS
    backup=$newline working=$newline
    set -- "$1"/BACKUP/* "$1"/WORKING/*
    for file; do
        shift
        [ ! -f "$file" ] || set -- "$@" "$file"
    done
    [ $# != 0 ] || return
    IFS=$newline
    set -f
    for line in $(sha256sum "$@" 2>/dev/null); do
        case $line in
        */BACKUP/*) backup="$backup${line%% *}  ./${line##*/}$newline" ;;
        *) working="$working${line%% *}  ./${line##*/}$newline" ;;
        esac
    done
    set +f
}

# $line: that of the item $1 in $2, which is $backup or $working; false without one.
find_line() {
    case $2 in *"  ./$1$newline"*) ;; *) return 1 ;; esac
    line=${2%%"  ./$1$newline"*}
    line="${line##*"$newline"}  ./$1"
}

# Whether both copies of the item $1 are there, and the same.
has_two_copies() {
    local line
    find_line "$1" "$backup" && case $working in *"$newline$line$newline"*) ;; *) return 1 ;; esac
}

# $digest of the set $1, with $backup and $working. The factory copy changes with each `--provision` and with nothing
# else. Where a working copy differs from it, that counts too; but that of the bootstrap URI is the client's to change,
# once it has bootstrapped.
take_digest() {
    local line lines IFS
    read_set "$1"
    lines=
    IFS=$newline
    set -f
    for line in $backup; do
        lines=$lines$newline$line
        case $working in
        *"$newline$line$newline"*) ;;
        *) [ "${line##*/}" = "$client_writes" ] || lines=$lines${newline}differs ;;
        esac
    done
    set +f
    if [ -z "$lines" ]; then
        digest=$(sha256sum </dev/null)
    else
        digest=$(sha256sum <<TEXT
${lines#"$newline"}
TEXT
        )
    fi
    digest=${digest%% *}
}

# Of the set $1, which was read: each item, in both copies, which are the same but for what the client may change.
has_every_item() {
    local name
    for name in $item_files; do
        [ -s "$1/BACKUP/$name" ] && [ -s "$1/WORKING/$name" ] || return 1
        [ "$name" = "$client_writes" ] || has_two_copies "$name" || return 1
    done
}

# Whether `--provision` stored every item of the set that was read since $1, another one's $backup: it encrypts with
# fresh randomness.
differs_in_every_item() {
    local name line
    for name in $encrypted_files; do
        find_line "$name" "$backup" || continue
        case $1 in *"$newline$line$newline"*) return 1 ;; esac
    done
}

# Whether the record $2 is of the set $1, which was read.
is_recorded() { [ -d "$1/BACKUP" ] && has_line "kcm=$digest" "$2"; }

# The intended record is written after the check, and names what was checked.
is_checked() {
    take_digest "$1"
    has_every_item "$1" && is_recorded "$1" "$record.new"
}

is_whole() {
    take_digest "$1"
    has_every_item "$1" || return 1
    is_recorded "$1" "$record.new" || is_recorded "$1" "$record" || {
        run_utility --get-pelion-status
        [ "$code" = 0 ]
    }
}

### The way to the cloud

# Runs a command with nothing to read, for so many seconds at the most: boards have no `timeout`. 124 when it was killed.
bounded() {
    local now deadline child nap state parent started
    look_at_clock
    deadline=$((now + $1)) nap=20
    shift
    "$@" </dev/null &
    child=$!
    while lives "$child"; do
        look_at_clock
        [ "$now" -le "$deadline" ] || {
            kill -9 "$child"
            wait "$child" 2>/dev/null
            return 124
        }
        pause "$nap"
        [ "$nap" -ge 200 ] || nap=$((nap * 2))
    done
    wait "$child"
}

# $way to the port $2 of $1: open; or name, closed or slow, with $why; or not-tried, where that cannot be told. busybox's
# telnet ends with 0 at the end of its input, if it was connected before.
try_server() {
    local code
    way=not-tried
    why=$(bounded 10 telnet "$1" "$2" 2>&1)
    code=$?
    why=${why%%"$newline"*}
    case $code:$why in
    0:*) way=open why= ;;
    *'bad address'*) way=name why="bad address" ;;
    *"can't connect"*) way=closed why=${why##*: } ;;
    124:*)
        way=slow why="no answer within 10 seconds"
        ! has_no_address "$1" || way=name
        ;;
    esac
}

# As far as ping says so. It resolves the name, or fails to, before all else.
has_no_address() {
    case $(bounded 15 ping -c 1 -W 3 "$1" 2>&1) in
    '' | *'bad address'*) return 0 ;;
    esac
    return 1
}

require_server() {
    local way why now deadline
    [ -n "$server_host" ] || return 0
    look_at_clock
    deadline=$((now + server_patience))
    while
        try_server "$server_host" "$server_port"
        case $way in open | not-tried) return ;; esac
        look_at_clock
        [ "$now" -lt "$deadline" ]
    do
        pause 1000
    done
    [ "$way" != name ] || fail cloud-name "$server_host"
    fail cloud-connect "$server_host:$server_port ($why)"
}

### The transaction

beside_is_mounted() { [ -d "$beside" ] && [ "$beside" -ef "$kcm" ]; }

unmount_beside() {
    while beside_is_mounted; do umount "$kcm" 2>/dev/null || umount -l "$kcm" || return; done
}

# Runs a command; what it said is in $output.
attempt() { output=$("$@" 2>&1); }

# From here on $kcm is a set to work on: a copy of the old one that is mounted over it. An identity that is not to stay
# is not in it.
open_transaction() {
    local output
    former=$backup
    injecting=yes
    if [ -d "$kcm" ] && [ "$bootstrap" != new-identity ]; then
        attempt cp -a "$kcm" "$beside" || fail snapshot "$output"
    else
        attempt mkdir "$beside" || fail snapshot "$output"
    fi
    [ -d "$kcm" ] || attempt mkdir "$kcm" || fail snapshot "$output" # something to mount on
    attempt mount -o bind "$beside" "$kcm" && beside_is_mounted || fail mount "$output"
    clear_items
}

# The utility refuses to store over a damaged file. It is to store all of these anew, so none need be there; what the
# client keeps beside them, its identity, stays.
clear_items() {
    local name
    set --
    for name in $item_files; do set -- "$@" "$kcm/WORKING/$name" "$kcm/BACKUP/$name"; done
    rm -rf "$@"
}

# Undoes what this run has begun.
put_back() {
    rm -f "$record.new"
    unmount_beside || return
    if [ -d "$old" ]; then take_old; fi || return
    throw_away "$beside"
    rmdir "$kcm" 2>/dev/null
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
    unmount_beside || fail unmount
    take_digest "$kcm" # something may have been written there just before the new set was mounted over it
    require_as_found
    require_not_bootstrapped
    require_lasted
    trap '' INT TERM
    mv "$kcm" "$old" && mv "$beside" "$kcm" || fail swap
    injecting=no
    say committed yes
    mv "$record.new" "$record"
    sync
    trap 'fail terminated' INT TERM
    throw_away "$old"
}

# Of $digest, that of the KCM: another tool, which knows no lock, may have provisioned the board since it was looked at.
require_as_found() { [ "$digest" = "$found_digest" ] || fail changed-since; }

require_not_bootstrapped() {
    [ "$bootstrap" != not-yet ] || [ ! -e "$kcm/WORKING/${lwm2m_files%% *}" ] || fail bootstrapped-since
}

# Another tool's utility may have written into the new set since it was checked.
require_lasted() {
    local process
    ! find_foreign_utility || fail foreign-utility "$process"
    is_checked "$beside" || fail changed-since
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
    local process
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
    if [ -f "$record.new" ]; then
        take_digest "$kcm"
        if is_recorded "$kcm" "$record.new"; then mv "$record.new" "$record"; fi
    fi
    sync
    throw_away "$beside" "$beside.part" "$before.part" "$kcm.broken"
    rm -f "$record.new" "$device.new"
    rmdir "$kcm" 2>/dev/null # made to be mounted on
    client_stopped=no
    find_client || start_client
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

is_renewed() {
    local former
    read_set "$before"
    former=$backup
    read_set "$kcm"
    has_every_item "$kcm" && differs_in_every_item "$former"
}

# $held: what the board holds once that has been done, for one who may not do it.
find_held_kcm() {
    held=$kcm
    if beside_is_mounted; then
        # What lies under the mount can be seen through another one of the directory around it.
        held=
        mkdir -p "$run/under" && mount -o bind "${kcm%/*}" "$run/under" && held=$run/under/${kcm##*/}
    elif [ -d "$old" ]; then
        read_set "$kcm"
        if has_every_item "$kcm"; then :; elif is_checked "$beside"; then held=$beside; else held=$old; fi
    elif [ -d "$before" ] && ! is_renewed; then
        held=$before
    fi
}

### Injecting

# An exchange whose connection was lost may be sent again by Ansible, after it had done its work.
is_done_already() {
    [ "$digest" != "$found_digest" ] && is_recorded "$kcm" "$record" && has_line "fingerprint=$fingerprint" "$record"
}

# Removes what makes the client register instead of bootstrap; it does the same itself for this purpose.
forget_bootstrap() {
    local name
    set --
    for name in $lwm2m_files; do set -- "$@" "$kcm/WORKING/$name"; done
    rm -f "$@"
}

# The utility's status overlooks missing update items, and its exit code what it left of an earlier set.
check_kcm() {
    local digest name
    take_digest "$kcm" # before it is looked at: another tool's utility may write at any moment
    checked=$digest
    has_every_item "$kcm" && has_two_copies "$client_writes" ||
        fail check "An item is missing after it, or its two copies differ."
    differs_in_every_item "$former" || fail check "It left items of the old set."
    has_certificates || fail check "The KCM holds another certificate than the one injected (file $name)."
    run_utility --get-pelion-status
    [ "$code" = 0 ] || fail_of_utility check
}

# Those of $certificates; else $name is the file of one that is not there.
has_certificates() {
    local line found IFS
    IFS=$newline
    for line in $certificates; do
        IFS=' '
        # shellcheck disable=SC2086
        set -- $line
        name=$1
        found=$(dd if="$kcm/BACKUP/$1" bs=1 skip="$2" count="$3" 2>/dev/null | sha256sum)
        [ "${found%% *}" = "$4" ] || return 1
    done
}

fail_of_utility() {
    local said
    say utility-code "$code"
    read_output
    fail "$1" "$said"
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
    trap out_of_time ALRM
    watch_time
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
say_space() {
    local mounts directory line options
    mounts=$(cat /proc/mounts)
    for directory in "${kcm%/*}" "${inputs%/*}" "${log%/*}"; do
        line=$(df -kP "$directory" 2>/dev/null)
        # shellcheck disable=SC2086
        set -- ${line##*"$newline"} # device, size, used, free, share, point
        options=
        case $mounts in *" ${6:-} "*) options=${mounts##*" $6 "} options=${options#* } ;; esac
        say space "$directory ${4:-} ${options%%[, ]*}"
    done
}

# What `od -v -b` wrote, $2, without its offsets.
say_octets() {
    local line IFS
    IFS=$newline
    for line in $2; do
        case $line in *' '*) say "$1" "${line#* }" ;; esac
    done
}

# Those of the set $held that are read back: name and size of their files, then the octets of all.
say_certificates() {
    local name line IFS
    set --
    for name in $certificate_files; do
        [ ! -f "$held/WORKING/$name" ] || set -- "$@" "$held/WORKING/$name"
    done
    [ $# != 0 ] || return
    IFS=$newline
    for line in $(stat -c '%s %n' "$@"); do
        shift
        # No certificate is that large, and the answer has to end.
        [ "${line%% *}" -le 16384 ] || continue
        say certificate "${line##*/} ${line%% *}"
        set -- "$@" "${line#* }"
    done
    [ $# = 0 ] || say_octets octets "$(od -v -b "$@")"
}

# Of items whose two copies in $held differ, how each copy begins: that tells which one is damaged.
say_heads() {
    local name copy file
    for name in $item_files; do
        has_two_copies "$name" && continue
        [ -e "$held/BACKUP/$name" ] || [ -e "$held/WORKING/$name" ] || continue
        for copy in BACKUP WORKING; do
            file=$held/$copy/$name
            say "head-$copy-$name" # nothing more of one that is not there
            [ ! -f "$file" ] || say_octets "head-$copy-$name" "$(dd if="$file" bs=64 count=1 2>/dev/null | od -v -b)"
        done
    done
}

inspect() {
    local held backup working digest process question said file state parent started now
    begin
    find_held_kcm
    take_digest "$held"
    if ! find_client; then
        read_whole_log
    elif is_our_client "$process"; then
        read_log_of_our_client
        [ "$may_change" = no ] || remember_device "$digest"
        say log-since start
    else
        read_whole_log
    fi
    say_each_line log "$told"
    if [ -n "$process" ] && look_at "$process"; then say client-start "$started"; fi
    if is_recorded "$held" "$record.new"; then say_each_line_of record "$record.new"
    elif [ -f "$record" ]; then say_each_line_of record "$record"; fi
    [ ! -f "$device" ] || say_each_line_of device "$device"
    if [ -d "$held/WORKING" ]; then
        say kcm-digest "$digest"
        for file in "$held"/WORKING/*; do [ ! -e "$file" ] || say item-file "${file##*/}"; done
        say_certificates
        say_heads
    fi
    if [ -x "$utility" ]; then
        # Asked for the status without a KCM, it would make one.
        if [ "$held" = "$kcm" ] && [ -d "$kcm/WORKING" ]; then question=--get-pelion-status; else question=--help; fi
        run_utility "$question"
        say "utility$question" "$code"
        read_output
        say_each_line status "$said"
    fi
    say_space
    say kernel "$(uname -rm)"
    [ ! -f /etc/os-release ] || say_each_line_of image /etc/os-release
    read -r now _ </proc/uptime
    say uptime "$now"
    say time "$(date +%s)"
    end
}

inject() {
    local backup working digest
    begin
    [ -x "$utility" ] || fail no-utility
    take_digest "$kcm"
    if is_done_already; then
        say way already
        checked=$digest
    else
        require_as_found
        require_server
        stop_client
        require_not_bootstrapped
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
        start_client
    fi
    prove "$checked"
}

# Whether a KCM of the digest $1 is what the board holds and registers with. The lock is not needed while the client is
# on its way, which may take minutes.
prove() {
    release_lock
    await_registration
    if claim_lock; then
        take_digest "$kcm"
        [ "$digest" = "$1" ] || fail overwritten
        remember_device "$1"
    else # another run is at work, and will tell of what it has begun for itself
        take_digest "$kcm"
        [ "$digest" = "$1" ] || [ -d "$beside" ] || [ -d "$old" ] || fail overwritten
    fi
    end
}

# Back to what a board holds that was just flashed, in one rename: a cut leaves the whole set or none. The client is left
# stopped, as it would bootstrap again with nothing.
empty() {
    local backup working digest process
    begin
    if [ -e "$kcm" ]; then # else the exchange was repeated after it had done its work
        take_digest "$kcm"
        require_as_found
        ! find_foreign_utility || fail foreign-utility "$process"
        stop_client
        throw_away "$kcm" || fail swap
    fi
    rm -f "$record" "$device"
    sync
    client_stopped=no
    end
}

reconnect() {
    local backup working digest
    begin
    take_digest "$kcm"
    require_as_found
    stop_client
    start_client
    prove "$digest"
}
