# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a C file: its bytes, lines, comments and literals, before anything is made of them."""

from __future__ import annotations

import contextlib
import re

from .c_errors import CSourceError

# The largest file known is 15 kB. The bound keeps the parser within seconds.
MAX_BYTES = 128 * 1024

LONGEST_LITERAL = 4096
"""The parser takes some 3 kB of memory for each character of a literal."""


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


# A literal or comment that does not end is matched too, up to the end of its line or of the file:
# were it not, each further quote in it would be tried as a new beginning, which takes quadratic time.
_TOKEN = re.compile(
    r"""//[^\n]*
      | /\*(?:(?P<comment>.*?)\*/|(?P<open_comment>.*))
      | "(?P<string>(?:[^"\\\n]|\\[^\n])*)(?P<string_end>"?)
      | '(?:[^'\\\n]|\\[^\n])*'?
    """,
    re.VERBOSE | re.DOTALL,
)


def strip_comments(text: str, source: str) -> str:
    """``text`` without comments and spliced lines, each line keeping its number.

    String literals come out with all but letters and digits as three-digit octal escapes. So they
    hold nothing that later steps could stumble over, and a literal's end also ends its last escape
    when adjacent literals are joined (``"\\x1" "2"`` is two characters). Long ones come out as several.
    """

    def replace(match: re.Match[str]) -> str:
        if match["open_comment"] is not None:
            line = text.count("\n", 0, match.start()) + 1
            raise CSourceError(source, line, "the comment that begins here has no end: the file is truncated")
        if match["comment"] is not None:
            return " " + "\n" * match["comment"].count("\n")
        if match["string"] is None:
            return " " if match[0].startswith("/") else match[0]
        try:
            content = unescape(match["string"]) if match["string_end"] else None
        except ValueError:
            content = None
        if content is None:
            # Fine where no parser looks: in an #error line, under #if 0. Else it is refused there.
            return match[0]
        pieces = [content[at : at + LONGEST_LITERAL] for at in range(0, len(content), LONGEST_LITERAL)] or [""]
        return " ".join(f'"{_escaped(piece)}"' for piece in pieces)

    text = _join_spliced_lines(text)
    return _TOKEN.sub(replace, text)


def as_read(text: str) -> str:
    """A part of what ``strip_comments`` gave, for people: the characters of its literals, read as UTF-8."""
    with contextlib.suppress(ValueError):
        text = re.sub(r'"([^"]*)"', lambda match: f'"{unescape(match[1])}"', text)
    return text.encode("latin-1").decode("utf-8", "replace")


def _escaped(content: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):03o}" for c in content)


def _join_spliced_lines(text: str) -> str:
    if "\\\n" not in text:
        return text
    joined: list[str] = []
    swallowed = 0
    begins_line = True
    for line in text.split("\n"):
        spliced = line.endswith("\\")
        part = line[:-1] if spliced else line
        if begins_line:
            joined.append(part)
        else:
            joined[-1] += part
        swallowed += spliced
        begins_line = not spliced
        if begins_line:
            joined.extend([""] * swallowed)
            swallowed = 0
    return "\n".join(joined)


_SIMPLE_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11} | {c: ord(c) for c in "\\'\"?"}
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]+)|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<simple>.)|$)",
    re.DOTALL,
)


def unescape(literal: str) -> str:
    """The characters (one per byte) of the inside of a literal. Raises ValueError, naming no content."""

    def replace(match: re.Match[str]) -> str:
        if code := match["u"] or match["U"]:
            return chr(int(code, 16)).encode().decode("latin-1")  # as gcc does; ValueError for no character
        if match["octal"]:
            number = int(match["octal"], 8)
        elif match["hex"]:
            number = int(match["hex"], 16)
        else:
            number = _SIMPLE_ESCAPES.get(match["simple"] or "", 256)
        if number > 255:
            raise ValueError("an escape sequence that stands for no byte")
        return chr(number)

    return _ESCAPE.sub(replace, literal)
