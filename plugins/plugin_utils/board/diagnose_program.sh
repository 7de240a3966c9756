# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash # for `local`, which busybox's ash has as well
# shellcheck disable=SC2034,SC2154 # variables of board_program.sh
#
# What a board is asked by pelion.mbl.diagnose: how it is, and how far a connection to the cloud comes. It goes to the
# board together with board_program.sh, whose functions it uses; see there for what boards lack. It changes nothing, and
# takes no lock, so that a board that another run is at work on can be looked at as well.
#
# All that it finds is told in lines `mbl:KEY=LINE`, the keys being those of diagnosis.py. Each command is ended after ten
# seconds, and what it says is cut: of logs the end is kept.

log_bytes=0   # of the client's log, all files together
other_ports=  # of the server, that are tried as well
section=65536 # bytes, of anything else

# Lines of standard input, under the key $1.
tell_lines() { tail -c "$section" | sed "s/^/mbl:$1=/"; }

# What a command says, under the key $1.
tell() {
    local key
    key=$1
    shift
    if command -v "$1" >/dev/null 2>&1; then
        bounded 10 "$@" 2>&1 | tell_lines "$key"
    else
        say untried "$key: there is no $1 on this board"
    fi
}

tell_file() {
    if [ -f "$2" ]; then tell "$1" cat "$2"; else say untried "$1: there is no $2 on this board"; fi
}

# The newest lines first to be kept. What is not a file, such as a pipe, would be waited for.
tell_log() {
    local file number size
    number=0
    for file in "$log" "$log.1" "$log.2" "$log.3" "$log.4"; do
        if [ -f "$file" ] && [ "$log_bytes" -gt 0 ]; then
            size=$(stat -c %s "$file" 2>/dev/null) || size=0
            [ "$size" -le "$log_bytes" ] || say cut "$file: the last $log_bytes of $size bytes"
            bounded 20 tail -c "$log_bytes" "$file" 2>/dev/null | sed "s/^/mbl:log-$number=/"
            log_bytes=$((log_bytes - size))
        elif [ -e "$file" ]; then
            say cut "$file: none of it"
        fi
        number=$((number + 1))
    done
}

start_looking() {
    echo # whatever a log-in said before may lack its line end
    trap end_looking EXIT # on_exit would undo what is not ours
    trap '' HUP PIPE
    trap 'fail terminated' INT TERM
    trap out_of_time ALRM
    watch_time
}

end_looking() { [ -z "$watcher" ] || kill "$watcher" 2>/dev/null; }

diagnose() {
    start_looking
    tell_file image /etc/os-release
    tell kernel uname -a
    tell clock date -u '+%Y-%m-%d %H:%M:%S UTC'
    tell clock uptime
    tell_file mounts /proc/mounts
    tell space df -k
    tell_file memory /proc/meminfo
    tell network ip addr
    tell network ip route
    tell network ip -6 route
    tell_file network /etc/resolv.conf
    tell connections netstat -tn
    tell processes ps
    tell service systemctl status "$client" --no-pager
    tell files ls -l /config/user "$kcm" "$kcm/WORKING" "$kcm/BACKUP"
    tell kernel-log dmesg
    tell_log
    say 'done' yes
}

# A step of the way: its kind, port, outcome, and a detail.
say_step() { say way "$1 $2 $3${4:+ $4}"; }

try_name() {
    local said address
    said=$(bounded 15 ping -c 1 -W 3 "$server_host" 2>&1)
    address=${said#*'('}
    case $said in
    PING*'('*) say_step name - good "${address%%')'*}" ;;
    '' | *'bad address'*) say_step name - bad "${said:-no answer within 15 seconds}" ;;
    *'not found'*) say_step name - untried "no ping" ;;
    *) say_step name - untried "$said" ;;
    esac
}

try_port() {
    local way why
    try_server "$server_host" "$1"
    case $way in
    open) say_step tcp "$1" good ;;
    not-tried) say_step tcp "$1" untried "${why:-no telnet}" ;;
    *) say_step tcp "$1" bad "$why" ;;
    esac
}

# Busybox has nothing that speaks TLS to any server, but an image may have openssl.
try_tls() {
    local said
    if ! command -v openssl >/dev/null 2>&1; then
        say_step tls "$server_port" untried "no openssl"
        return
    fi
    said=$(bounded 10 openssl s_client -connect "$server_host:$server_port" -servername "$server_host" 2>&1)
    case $said in
    *'BEGIN CERTIFICATE'*) say_step tls "$server_port" good ;;
    *) say_step tls "$server_port" bad "the server shows no certificate" ;;
    esac
}

walk() {
    local port
    start_looking
    try_name
    for port in $server_port $other_ports; do try_port "$port"; done
    try_tls
    say 'done' yes
}
