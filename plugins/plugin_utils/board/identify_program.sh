# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash # for `local`, which busybox's ash has as well
#
# The program with which a board shows people which one it is: its LEDs blink, and its console says a text. Sent to
# `/bin/sh` over its standard input by identify.py, which adds the values and the call at the end. It has the tools and
# the answers of board_program.sh.
#
# A process of its own blinks and then restores the LEDs. It does so too when the connection breaks, or when this
# program is killed; only when it is killed itself do the LEDs stay as they are.

set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

# What identify.py sets before its call.
may_change=no # yes, or no for a look
seconds=0     # for which LEDs blink
message=      # what the consoles show

newline='
'
leds= # lines of a name, its brightness and its trigger

say() { printf 'mbl:%s=%s\n' "$1" "${2:-}"; }

# $trigger: the one of the words in the file $1 that is in brackets, or that is alone there.
read_trigger() {
    local words
    read -r words <"$1" || :
    case $words in
    *'['*']'*)
        trigger=${words#*'['}
        trigger=${trigger%%']'*}
        ;;
    *' '*) trigger=none ;;
    *) trigger=$words ;;
    esac
}

find_leds() {
    local led name brightness
    for led in /sys/class/leds/*; do
        name=${led##*/}
        case $name in *[!a-zA-Z0-9:._-]*) continue ;; esac
        if [ ! -w "$led/trigger" ] || [ ! -w "$led/brightness" ]; then continue; fi
        read_trigger "$led/trigger"
        read -r brightness <"$led/brightness" || brightness=0
        leds="$leds$name $brightness $trigger$newline"
        say led "$name"
    done
}

# Does $1 for each LED, with $led, $brightness and $trigger.
for_each_led() {
    local IFS line name
    IFS=$newline
    for line in $leds; do
        IFS=' '
        # shellcheck disable=SC2086 # three words
        set -- "$1" $line
        led=/sys/class/leds/$2 brightness=$3 trigger=$4
        $1
    done
}

take() { echo none >"$led/trigger"; }
light() { cat "$led/max_brightness" >"$led/brightness" || echo 1 >"$led/brightness"; }
darken() { echo 0 >"$led/brightness"; }
restore() {
    # Setting a trigger may set the brightness.
    echo "$trigger" >"$led/trigger"
    [ "$trigger" != none ] || echo "$brightness" >"$led/brightness"
}

# As long as the program runs: in a subshell, $$ is still its process. One that has ended and that nobody has waited for
# has no program any more.
blink() {
    local left=$seconds
    trap '' HUP INT TERM PIPE
    for_each_led take
    while [ "$left" -gt 0 ] && [ -e /proc/$$/exe ]; do
        for_each_led light
        half_a_second
        for_each_led darken
        half_a_second
        left=$((left - 1))
    done
    for_each_led restore
}

half_a_second() { usleep 500000 2>/dev/null || sleep 1; }

show_message() {
    local console
    for console in /dev/console /dev/tty1; do
        [ -w "$console" ] || continue
        if [ "$may_change" = yes ]; then
            printf '\r\n*** %s ***\r\n' "$message" >"$console" 2>/dev/null || continue
        fi
        say console "$console"
    done
}

identify() {
    find_leds
    show_message
    if [ "$may_change" = yes ] && [ -n "$leds" ]; then
        blink >/dev/null 2>&1 </dev/null &
        wait $!
    fi
    say 'done' yes
}
