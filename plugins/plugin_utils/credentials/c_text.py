# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a C file: its characters, and the tokens that they make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .c_errors import CSourceError

MAX_BYTES = 128 * 1024
"""The largest file known is 15 kB."""


class Token(NamedTuple):
    """``kind`` is a group of _TOKEN, and ``line`` where it begins."""

    kind: str
    text: str
    line: int


def decode(text: bytes, source: str) -> str:
    """``text`` as one character per byte, with line ends as ``\\n``."""
    if len(text) > MAX_BYTES:
        raise CSourceError(source, None, f"is larger than {MAX_BYTES // 1024} KiB, so it is not a credentials file")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CSourceError(source, None, "is UTF-16 text; save it as UTF-8")
    if b"\0" in text:
        raise CSourceError(source, text.count(b"\n", 0, text.index(b"\0")) + 1, "is a binary file, not C source")
    text = text.removeprefix(b"\xef\xbb\xbf")
    if not text.strip():
        raise CSourceError(source, None, "is empty")
    if text.lstrip()[:5].lower() in (b"<!doc", b"<html", b"<?xml"):
        raise CSourceError(source, 1, "is a web page, not C source; was the download redirected to a log-in page?")
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("latin-1")


# A literal that does not end is matched too, up to the end of its line: were it not, each further quote in it would be
# tried as a new beginning, which takes quadratic time.
_TOKEN = re.compile(
    r"""(?P<space>(?:[^\S\n]|\\\n)+|//(?:\\\n|[^\n])*|/\*.*?\*/)
      | (?P<end>\n)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<character>'(?:[^'\\\n]|\\.)*')
      | (?P<broken>["'](?:[^\\\n]|\\.)*\\?)
      | (?P<open_comment>/\*)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<number>[0-9][\w.]*)
      | (?P<mark>&&|\|\||[=!<>]=|.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def tokens(text: str, source: str) -> Iterator[Token]:
    """The tokens of ``text``. Raises CSourceError for a comment that does not end."""
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "open_comment":
            raise CSourceError(source, line, "the comment that begins here has no end: the file is truncated")
        yield Token(kind, match[0], line)
        line += match[0].count("\n")


_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11} | {c: ord(c) for c in "\\'\"?"}
_ESCAPE = re.compile(r"\\(?:\n|([0-7]{1,3})|x([0-9a-fA-F]+)|(.))")


def unescape(literal: str) -> str:
    """The characters (one per byte) of the inside of a literal. Raises ValueError, naming no content."""

    def replace(match: re.Match[str]) -> str:
        octal, hexadecimal, simple = match.groups()
        if simple is octal is hexadecimal is None:
            return ""  # a line that goes on in the next one
        number = int(octal, 8) if octal else int(hexadecimal, 16) if hexadecimal else _ESCAPES.get(simple, 256)
        if number > 255:
            raise ValueError("a string with an escape sequence that is not known here")
        return chr(number)

    return _ESCAPE.sub(replace, literal)
