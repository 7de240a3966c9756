# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking secrets out of what boards say, before it is sent to somebody.

What may be a key goes, whatever it is called: long runs of hexadecimal digits, of base64, of octets as dumps and C
files write them, PEM. What is known to be harmless, such as a device ID, is shortened instead. So harmless text may go
as well; a key may not stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

KEPT = 8
"""Characters that are kept of what is shortened."""

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----.{0,8192}?(?:-----END \1-----|\Z)", re.DOTALL | re.IGNORECASE)
_LOOSE_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----", re.IGNORECASE)
_NAMED = re.compile(
    r"((?:pass(?:word|wd|phrase)?|psk|secret|token|api[-_ ]?key|access[-_ ]?key|authorization|bearer|aid"
    r"|account[-_ ]?id)"
    r"[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?|bearer\s+)([^\s\"'&,;]+)",
    re.IGNORECASE,
)
_API_KEY = re.compile(r"ak_[A-Za-z0-9_-]{6,}", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ID_NAMED = re.compile(
    r"((?:device[-_ ]?id|endpoint[-_ ]?name|\bep|\biep)[\"']?\s*[=:]\s*[\"']?)([0-9a-f]{32})", re.IGNORECASE
)
_HEX = re.compile(r"[0-9a-f]{20,}", re.IGNORECASE)
_OCTETS = re.compile(
    r"(?:(?:0x|\\x)[0-9a-f]{2}[ ,]{0,3}){6,}"  # as C has them
    r"|(?<![0-9a-f])(?:[0-9a-f]{2}[ ,:]{1,2}){7,}[0-9a-f]{2}(?![0-9a-f])"  # as hex dumps have them
    r"|(?<![0-9a-f])(?:[0-9a-f]{4} ){4,}[0-9a-f]{4}(?![0-9a-f])"
    r"|(?:\\[0-3][0-7]{2}){6,}|(?<!\d)(?:[0-3][0-7]{2}[ ,]){5,}[0-3][0-7]{2}(?!\d)",  # in octal
    re.IGNORECASE,
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_PATH = re.compile(r"/(?:bin|config|dev|etc|home|lib|mnt|opt|proc|run|sbin|scratch|sys|tmp|usr|var)/")


class Redactor:
    """``shown`` are texts that are no secrets, though they look like one: they are shortened where they are found."""

    def __init__(self, shown: Iterable[str] = ()) -> None:
        texts = sorted({re.escape(text) for text in shown if len(text) > KEPT}, key=len, reverse=True)
        self._shown = re.compile("|".join(texts) or "(?!)", re.IGNORECASE)

    def text(self, text: str) -> str:
        """``text`` without what may be secret. Its lines are those of ``text``, but for PEM."""
        text = _PEM.sub(lambda found: _removed(found[1].lower().replace(" ", "-")), text)
        text = _LOOSE_PEM.sub(_removed("PEM"), text)
        return "\n".join(self._line(line) for line in text.split("\n"))

    def value(self, value: Any) -> Any:
        """A JSON value, likewise."""
        if isinstance(value, Mapping):
            return {
                key: _removed("value") if item and _NAMED.fullmatch(f"{key}=x") else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def _line(self, line: str) -> str:
        line = "".join(
            letter if letter.isprintable() else "\ufffd" for letter in line.rstrip("\r").replace("\t", "    ")
        )
        if line.count("\ufffd") > 3:
            return _removed("no-text")
        line = self._shown.sub(lambda found: _short(found[0]), line)
        line = _ID_NAMED.sub(lambda found: found[1] + _short(found[2]), line)
        line = _API_KEY.sub(_removed("API-key"), line)
        line = _NAMED.sub(lambda found: found[1] + _removed("value"), line)
        line = _UUID.sub(_removed("ID"), line)
        line = _OCTETS.sub(_removed("octets"), line)
        # Before digits alone, which may be a part of it.
        line = _BASE64.sub(_without_base64, line)
        return _HEX.sub(_removed("hex"), line)


def _without_base64(found: re.Match[str]) -> str:
    run = found[0]
    if _PATH.match(run):
        # Base64 has slashes, too: what follows may be of it.
        parts = run.split("/")
        good = list(takewhile(lambda part: not _is_like_base64(part, 16), parts))
        return "/".join([*good, _removed("text")] if len(good) < len(parts) else parts)
    return _removed("text") if _is_like_base64(run, 40) else run


def _is_like_base64(run: str, long: int) -> bool:
    """A name in words seldom has digits together with letters of both cases. From ``long`` characters on, it has ``_``
    or ``-`` between them."""
    kinds = sum(bool(re.search(kind, run)) for kind in ("[A-Z]", "[a-z]", "[0-9]"))
    return (len(run) >= 20 and kinds == 3) or (len(run) >= long and not re.search("[_-]", run))


def _short(text: str) -> str:
    return f"{text[:KEPT]}…"


def _removed(what: str) -> str:
    """Without a blank, so that it is taken for one word if it is read again."""
    return f"[removed:{what}]"
