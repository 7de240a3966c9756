# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import time
import tracemalloc
from pathlib import Path

import pytest
from credential_samples import mutated

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.c_errors import CSourceError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.c_source import parse_c_source, read_small_file
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.c_text import MAX_BYTES


def values(text: str | bytes) -> dict[str, bytes]:
    source = text.encode() if isinstance(text, str) else text
    return {name: constant.value for name, constant in parse_c_source(source, "x.c").constants.items()}


@pytest.mark.parametrize(
    ("declaration", "value"),
    [
        ("const uint8_t x[] = { 0x30, 0x1, 0xFF };", b"\x30\x01\xff"),
        ("const uint8_t x[] =\n{ 48, 060, '0', 0x30u, 0X30UL };", b"00000"),
        ("const uint8_t x[]={0};", b"\0"),
        ("const uint8_t x[] = { 0x0 };", b"\0"),
        ("const uint8_t x[] = {\n    \n};", b""),
        ("const uint8_t x[] = { 1, 2, };", b"\1\2"),
        ("const uint8_t x[4] = { 1, 2 };", b"\1\2\0\0"),
        ('const uint8_t x[] = "ab";', b"ab\0"),
        ('const uint8_t x[2] = "ab";', b"ab"),
        ("static const uint8_t x[] = { 7 };", b"\7"),
        ("uint8_t const x[] = { 7 };", b"\7"),
        ('const char x[] = "dev_manufacturer";', b"dev_manufacturer"),
        ('const char x[] = "";', b""),
        ('const char x[] = "  Acme, Inc = {rover}; sizeof(x)  ";', b"  Acme, Inc = {rover}; sizeof(x)  "),
        ('const char x[] = "// no comment /* nor this */";', b"// no comment /* nor this */"),
        ('const char x[] = "\\"q\\" \\\\ \\\' \\x41\\102\\t\\?";', b'"q" \\ \' AB\t?'),
        ('const char x[] = "a" "b"\n  "c";', b"abc"),
        ('const char x[] = "\\x4" "1";', b"\x041"),
        ('const char x[] = "\\1" "01";', b"\x0101"),
        ('const char x[] = "ab\\\ncd";', b"abcd"),
        ('const char x[] = "caf\u00e9";', "caf\u00e9".encode()),
        ('const char x[] = { "braced" };', b"braced"),
        ("const char x[] = { 'a', '\\'', '\\\\', '\\x62', '\\0' };", b"a'\\b"),
        ("const char x[] = { 'a', 'b' };", b"ab"),
        ('const char x[10] = "abc";', b"abc"),
        ('const char *x = "abc";', b"abc"),
        ('const char * const x = "abc";', b"abc"),
        ("const uint32_t x = 0;", b"\0\0\0\0"),
        ("const uint32_t x = 0xffffffff;", b"\xff\xff\xff\xff"),
        ("const uint32_t x = 1024 * 1024;", b"\0\0\x10\0"),
        ("const uint16_t x = 128;", b"\x80\0\0\0"),
        ("const uint8_t y[] = {1,2}; const uint8_t x = sizeof(y)*8;", b"\x10\0\0\0"),
        ("const uint8_t y[] = {1,2}; const uint8_t x = sizeof y;", b"\2\0\0\0"),
    ],
)
def test_reads_what_a_compiler_reads(declaration: str, value: bytes) -> None:
    assert values(declaration)["x"] == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('#ifdef MBED_CLOUD_DEV_UPDATE_ID\nconst char x[] = "a";\n#endif', b"a"),
        ('#if defined(MBED_CLOUD_DEV_UPDATE_CERT) && 1\nconst char x[] = "a";\n#endif', b"a"),
        ('#if 0\n it\'s broken " /* x */\n#else\nconst char x[] = "a";\n#endif', b"a"),
        ('#ifdef FOO\nconst char x[] = "a";\n#else\nconst char x[] = "b";\n#endif', b"b"),
        ('#ifndef FOO\nconst char x[] = "a";\n#else\nconst char x[] = "b";\n#endif', b"a"),
        ('#if FOO == 1\nint y = 1;\n#elif BAR\n#elif 1\nconst char x[] = "a";\n#else\n#error no\n#endif', b"a"),
        ('#define N 2\n#if N > 1 && defined N\nconst char x[] = "a";\n#endif', b"a"),
        ('#ifdef __cplusplus\nextern "C" {\n#endif\nconst char x[] = "a";\n#ifdef __cplusplus\n}\n#endif', b"a"),
        ('#if 0\n#error don\'t\n#if 1\n#error "nor\n#endif\n#endif\nconst char x[] = "a";', b"a"),
        ('  #  include <stdint.h>\n#pragma once\nconst char x[] = "a";', b"a"),
        ('#if 1 // yes\nconst char x[] = /* " */ "a" // "b"\n;\n#endif // it\'s the end', b"a"),
        ('\ufeffconst char x[] = "a";\r\n\r\n// end\r\n', b"a"),
        ('const char x[] = "a";\r// old Mac\r', b"a"),
        ('extern const char x[];\nconst char x[] = "a";', b"a"),
    ],
)
def test_preprocessor_lines(text: str, expected: bytes) -> None:
    assert values(text) == {"x": expected} or values(text)["x"] == expected


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b"", None, "is empty"),
        (b"\n \r\n", None, "is empty"),
        (b"int a = 1;\n\x7fELF\0\0", 2, "binary"),
        (b"\xff\xfei\0n\0t\0", None, "UTF-16"),
        (b"<!DOCTYPE html>\n<html>", 1, "web page"),
        (b"//\n" * (MAX_BYTES // 3 + 1), None, "larger than"),
        (b'#if MBED_CONF_APP_DEVELOPER_MODE == 1\n#error "Replace this file."\n#endif\n', 2, "only a template"),
        (b"int a = 1;\n#error x", 2, "only a template"),
        (b"#ifdef A\nint a = 1;\n", 1, "no #endif"),
        (b"int a = 1;\n/* never closed\nint b = 2;", 2, "no end"),
        (b"const uint8_t a[] = { 1,\n 2, ", 2, "truncated"),
        (b"int a = 1;\nconst uint32_t b = sizeo", 2, "truncated"),
        (b"int a = 1;\n#else\n", 2, "#else without #if"),
        (b"#if 1\n#else\n#else\n#endif", 3, "after #else"),
        (b"#if __has_include(<x>)\n#endif", 1, "cannot tell"),
        (b"#foo\n", 1, "unknown preprocessor line"),
        (b"int a = 1;\r\n#foo\r\n", 2, "unknown preprocessor line"),
        ("#îf 0\n".encode(), 1, "unknown preprocessor line"),
        (b"int a = 1;\nint main(void) { return 0; }", 2, "only declarations"),
        (b"const uint8_t a[] = { 1 };\nconst uint8_t a[] = { 2 };", 2, "defined here and in line 1"),
        (b"const uint8_t a[] = { 1,\n 256 };", 1, "not a byte"),
        (b"const uint8_t a[] = { -1 };", 1, "not a constant"),
        (b"const uint8_t a[] = { 1 2 };", 1, "not a constant"),
        (b"const uint8_t a[] = { foo };", 1, "whole number"),
        (b"const uint8_t a[] = { 1.5 };", 1, "whole number"),
        (b"const uint8_t a[] = { {1} };", 1, "not a constant"),
        (b"const uint8_t a[] = { [3] = 1 };", 1, "not a constant"),
        (b"const uint8_t a[1] = { 1, 2 };", 1, "2 bytes for an array of 1"),
        (b"const uint8_t a[999999999] = { 1, 2 };", 1, "more than 128 KiB"),
        (b"const uint8_t a[1 << 9] = { 1 };", 1, "whole number"),
        (b"const uint16_t a[] = { 1 };", 1, "uint16_t[]; only bytes"),
        (b"const float a = 1;", 1, "float; only bytes"),
        (b"const uint32_t a = 0x100000000;", 1, "cannot hold"),
        (b"const uint32_t a = -1;", 1, "whole number"),
        (b"const uint8_t a = " + b"9" * 5000 + b";", 1, "64 bits"),
        (b'const char a[] = "x\\0y";', 1, "NUL"),
        (b'const char a[] = "\\xfff";', 1, "escape"),
        (b'const char a[] = "\\q";', 1, ""),
        (b'const char a[] = L"x";', 1, "neither a string"),
        (b'const char a[] = "no end;\n', 1, ""),
        (b"const uint8_t a[] = { 'ab' };", 1, "not a constant"),
        (b"const uint8_t a[] = { 1, 2 };\nconst uint32_t a_SIZE = 3;", 2, "a part of it is missing"),
        (b"const uint16_t a_size = sizeof(a);", 1, "not defined above"),
        (b"int a = 1" + b"+1" * 20000 + b";", 1, "whole number"),
        (b"int a = 1" + b"*9" * 20000 + b";", 1, "64 bits"),
        (b"int a = 1, b = 2;", 1, "whole number"),
        (b"#if (1)\n#endif", 1, "cannot tell"),
        (b"#define A(x) x\n#if A\n#endif", 2, "cannot tell"),
        (b"hello world", 1, ""),
        (b'{"key": 1}', 1, ""),
        (b"\xff\xd8\xff\xe0 not text", 1, ""),
    ],
)
def test_refuses_with_line_and_reason(text: bytes, line: int | None, reason: str) -> None:
    with pytest.raises(CSourceError) as caught:
        parse_c_source(text, "x.c")
    assert str(caught.value).startswith("x.c" + (f", line {line}: " if line else ": "))
    assert reason in str(caught.value)
    assert caught.value.facts == {"source": "x.c", "line": line}


BOMBS = [
    b'"' * MAX_BYTES,
    b'\\"' * (MAX_BYTES // 2),
    b"/*" * (MAX_BYTES // 2),
    b"/**/" * (MAX_BYTES // 4),
    b"#if 1" + b"/**/" * (MAX_BYTES // 4 - 10) + b"x\n#endif",
    b"\\\n" * (MAX_BYTES // 2),
    b"#if 1\n" * (MAX_BYTES // 6),
    b"'" * MAX_BYTES,
    b"const uint8_t a[] = {" + b"1," * (MAX_BYTES // 2 - 20) + b"};",
    b"const char a[] = " + b'"" ' * (MAX_BYTES // 3 - 10) + b";",
    b"char x" + b"[1]" * (MAX_BYTES // 3 - 20) + b" = {1};",
    b"char " + b"* " * (MAX_BYTES // 2 - 20) + b"x = 0;",
    b"int a = " + b"9" * (MAX_BYTES - 20) + b";",
]
LARGE = [
    b"".join(b"char a%d[131072]={0};" % number for number in range(5600)),
    b'char a[] = "' + b"\\1" * (MAX_BYTES // 2 - 20) + b'";',
    b";" * MAX_BYTES,
]


@pytest.mark.parametrize("bomb", [*BOMBS, *LARGE], ids=lambda bomb: bomb[:12].decode())
def test_nothing_takes_long(bomb: bytes) -> None:
    begin = time.process_time()
    with contextlib.suppress(CSourceError):
        parse_c_source(bomb[:MAX_BYTES], "x.c")
    assert time.process_time() - begin < 15


@pytest.mark.parametrize("bomb", LARGE, ids=lambda bomb: bomb[:12].decode())
def test_nothing_takes_much_memory(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(CSourceError):
            parse_c_source(bomb[:MAX_BYTES], "x.c")
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_what_a_file_with_many_large_arrays_is_refused_for() -> None:
    line = b"char a%d[131072] = {0};\n"
    with pytest.raises(CSourceError, match=r"^x\.c, line 2: a1: the arrays up to here have more than 128 KiB$"):
        parse_c_source(line % 0 + line % 1, "x.c")


def test_long_strings_are_read() -> None:
    assert values(f'char a[] = "{"?x" * 30000}" "y";') == {"a": b"?x" * 30000 + b"y"}


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.c"
    with open(path, "wb") as file:
        file.truncate(100 * 1024 * 1024)
    begin = time.process_time()
    with pytest.raises(CSourceError, match="larger than 128 KiB"):
        parse_c_source(read_small_file(path), "huge.c")
    assert time.process_time() - begin < 1


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(CSourceError, match=r"not a regular file|Is a directory"):
            read_small_file(path)
    with pytest.raises(CSourceError, match="No such file"):
        read_small_file(tmp_path / "missing.c")


def test_errors_do_not_quote_the_file() -> None:
    for text in (b"const uint8_t key[] = { MIIBVQIBADANBg };", b"MIIBVQIBADANBg s3cret", b'char a[] = "s3cret\\q";'):
        with pytest.raises(CSourceError) as caught:
            parse_c_source(text, "x.c")
        assert "MIIB" not in str(caught.value) and "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(parse_c_source(b'const char a[] = "s3cret";', "x.c"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"This sample is empty: put the file (credentials.c) in its place, then build."',) * 2,
        ("Don't build this, it is a template.",) * 2,
        ('"Für Muster"',) * 2,
        ('"' + "?!" * 3000 + '"', '"' + "?!" * 149 + "?"),
        ('"an escape \x1b[31m" /* and */ "more"', '"an escape  [31m"   "more"'),
        ('"no end\x1b[31m', '"no end [31m'),
    ],
)
def test_what_a_template_says_is_readable(text: str, said: str) -> None:
    with pytest.raises(CSourceError) as caught:
        parse_c_source(f"#error {text}\n".encode(), "x.c")
    assert str(caught.value) == f"x.c, line 1: the file is only a template, it says: {said}"


def test_tells_what_it_left_out() -> None:
    source = parse_c_source(b"#ifdef FOO\nint a = 1;\n#elif BAR\n\n#endif\nint b = 2;", "x.c")
    assert source.left_out == ("lines 1 to 3 (#ifdef FOO)", "lines 3 to 5 (#elif BAR)")


# --- damaged files ---

ORIGINAL = b"""#ifndef G_H
#define G_H
#include <stdint.h>
// made by a tool
const char NAME[] = "it is \\"so\\", {rover}";
const char URI[] = "coaps://h:5684?aid=1" "23";
#ifdef MBED_CLOUD_DEV_UPDATE_ID
const uint8_t ID[] = { 0xcf, 0x1, 17, 'a', 007, };
const uint16_t ID_size = sizeof(ID);
#endif
/* the rest */
const uint32_t KB = 1024;
const uint8_t EMPTY[] = {
};
#endif // G_H
"""


def compiled_values(text: bytes, names: set[str], directory: Path) -> dict[str, bytes] | None:
    """What a real compiler makes of ``text``; None when it refuses."""
    main = "".join(
        f'printf("{name} "); for (size_t i = 0; i < sizeof({name}); i++) printf("%02x", ((unsigned char *)&{name})[i]);'
        ' printf("\\n");'
        for name in sorted(names)
    )
    program = text + f"\n#include <stdio.h>\nint main(void) {{ {main} return 0; }}\n".encode()
    flags = [f"-D{name}=1" for name in ("MBED_CLOUD_DEV_UPDATE_ID", "MBED_CONF_APP_DEVELOPER_MODE")]
    (directory / "x.c").write_bytes(program)
    built = subprocess.run(
        ["gcc", "-w", "-include", "stdint.h", *flags, "-o", "x", "x.c"], cwd=directory, capture_output=True, check=False
    )
    if built.returncode:
        return None
    lines = subprocess.run(["./x"], cwd=directory, capture_output=True, check=True).stdout.decode().splitlines()
    return {name: bytes.fromhex(octets) for name, octets in (line.split(" ") for line in lines)}


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_mutated_files_are_read_as_a_compiler_does_or_refused(tmp_path: Path) -> None:
    random_ = random.Random(int(os.environ.get("PELION_FUZZ_SEED", "4")))
    original = values(ORIGINAL)
    asked = refused = 0
    files = int(os.environ.get("PELION_FUZZ_FILES", "2000"))
    for _unused in range(files):
        text = mutated(random_, ORIGINAL)
        begin = time.process_time()
        try:
            constants = parse_c_source(text, "x.c").constants
        except CSourceError:
            refused += 1
            continue
        finally:
            assert time.process_time() - begin < 5
        read = {name: constant.value for name, constant in constants.items()}
        if read == original or not read:
            continue
        asked += 1
        if asked > int(os.environ.get("PELION_FUZZ_COMPILED", "60")):
            continue
        compiled = compiled_values(text, set(read), tmp_path)
        if compiled is None:
            continue
        for name, value in read.items():
            octets = compiled[name]
            same = octets == value or octets.rstrip(b"\0") == value or octets.ljust(4, b"\0") == value
            assert same or b"*" + name.encode() in text, (name, text)
    assert asked > files // 100 and refused > files // 2
