# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the C preprocessor leaves of a file, as far as generated files need one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..words import printable
from .c_errors import LONGEST_QUOTE, CSourceError
from .c_text import Token, tokens

LONGEST_MESSAGE = 300
"""How many characters of an #error's text are shown. It is meant for people, and a sentence."""

# Who puts these credentials into a device builds with these: MBED_CLOUD_DEV_UPDATE_* select the parts
# of update_default_resources.c (manifest-tool 1.x), and with developer mode on, the template of
# mbed-cloud-client-example says by #error that it is only a template.
BUILD_MACROS = {
    "MBED_CLOUD_DEV_UPDATE_ID": "1",
    "MBED_CLOUD_DEV_UPDATE_CERT": "1",
    "MBED_CLOUD_DEV_UPDATE_PSK": "1",
    "MBED_CONF_APP_DEVELOPER_MODE": "1",
}

_WORD = re.compile(r"\w*", re.ASCII)
_IGNORED = {"include", "pragma", "line", "warning", "ident"}
_TERM = re.compile(
    r"(!?)\s*(?:defined\s*(?:\(\s*([A-Za-z_]\w*)\s*\)|\b([A-Za-z_]\w*))|(\w+)(?:\s*([=!<>]=|<|>)\s*(\w+))?)"
)
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,21}|[1-9][0-9]{0,18})[uUlL]*")


def whole_number(text: str) -> int:
    """The value of a C number. Raises ValueError."""
    if not (match := _NUMBER.fullmatch(text)):
        raise ValueError("is not a whole number of at most 64 bits")
    return int(match[1], 16 if match[1][:2] in ("0x", "0X") else 8 if match[1][0] == "0" else 10)


def _first_word(text: str) -> tuple[str, str]:
    """The word that ``text`` begins with, if it does, and the rest."""
    match = _WORD.match(text)
    word = match[0] if match else ""
    return word, text[len(word) :].strip()


@dataclass
class _Conditional:
    """One #if … #endif. ``taken`` tells whether one of its branches was, ``active`` whether this one is."""

    line: int
    text: str
    enclosing_active: bool
    taken: bool
    active: bool
    has_else: bool = False


class Preprocessor:
    """Takes preprocessor lines out of a file, and with them the parts that a compiler would not see, which are
    ``left_out``. Raises CSourceError, also for an #error that would be met."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.left_out: list[str] = []
        self._macros = dict(BUILD_MACROS)
        self._stack: list[_Conditional] = []

    @property
    def _active(self) -> bool:
        return not self._stack or self._stack[-1].active

    def tokens(self, text: str) -> list[Token]:
        """Those that a compiler would see, without spaces and comments."""
        seen: list[Token] = []
        line: list[Token] = []
        for token in (*tokens(text, self.source), Token("end", "", 0)):
            if token.kind != "end":
                line.append(token)
                continue
            words = [one for one in line if one.kind != "space"]
            if words and words[0].text == "#":
                after = line[line.index(words[0]) + 1 :]
                self._directive(words[0].line, "".join(" " if one.kind == "space" else one.text for one in after))
            elif self._active:
                seen += words
            line = []
        if self._stack:
            last = self._stack[-1]
            text = printable(last.text, LONGEST_QUOTE)
            raise CSourceError(self.source, last.line, f"{text} has no #endif: the file is truncated")
        return seen

    def _directive(self, line: int, directive: str) -> None:
        name, text = _first_word(directive.strip())
        if name in ("if", "ifdef", "ifndef"):
            true = self._active and self._is_true(line, name, text)
            self._stack.append(_Conditional(line, f"#{name} {text}", self._active, true, true))
        elif name in ("elif", "else", "endif"):
            self._branch(line, name, text)
        elif not self._active:
            return
        elif name == "error":
            said = printable(text.encode("latin-1").decode("utf-8", "replace"), LONGEST_MESSAGE)
            raise CSourceError(self.source, line, f"the file is only a template, it says: {said}")
        elif name == "define":
            macro, body = _first_word(text)
            self._macros[macro] = body
        elif name == "undef":
            self._macros.pop(text, None)
        elif directive.strip() and name not in _IGNORED:
            said = printable(name or text, LONGEST_QUOTE)
            raise CSourceError(self.source, line, f"unknown preprocessor line #{said}")

    def _branch(self, line: int, name: str, text: str) -> None:
        if not self._stack:
            raise CSourceError(self.source, line, f"#{name} without #if")
        conditional = self._stack[-1]
        if not conditional.active and conditional.enclosing_active:
            self.left_out.append(f"lines {conditional.line} to {line} ({printable(conditional.text, LONGEST_QUOTE)})")
        if name == "endif":
            self._stack.pop()
            return
        if conditional.has_else:
            raise CSourceError(self.source, line, f"#{name} after #else")
        conditional.has_else = name == "else"
        conditional.active = (
            conditional.enclosing_active
            and not conditional.taken
            and (name == "else" or self._is_true(line, "if", text))
        )
        conditional.taken |= conditional.active
        conditional.line, conditional.text = line, f"#{name} {text}".strip()

    def _is_true(self, line: int, name: str, text: str) -> bool:
        try:
            if name == "if":
                return any(all(map(self._holds, one.split("&&"))) for one in text.split("||"))
            return self._holds(f"defined({text})") == (name == "ifdef")
        except ValueError:
            said = printable(f"#{name} {text}", LONGEST_QUOTE)
            raise CSourceError(self.source, line, f"cannot tell whether this holds: {said}") from None

    def _holds(self, term: str) -> bool:
        """Whether ``defined X``, ``X`` or ``X == 1`` holds, or not with ``!``. Raises ValueError for all else."""
        match = _TERM.fullmatch(term.strip())
        if not match:
            raise ValueError
        negated, in_brackets, bare, left, operator, right = match.groups()
        if in_brackets or bare:
            return ((in_brackets or bare) in self._macros) != bool(negated)
        if negated and operator:
            raise ValueError
        first, second = self._value(left), self._value(right or "0")
        holds = {
            "==": first == second,
            "<": first < second,
            ">": first > second,
            "<=": first <= second,
            ">=": first >= second,
        }
        return holds.get(operator, first != second) != bool(negated)

    def _value(self, word: str) -> int:
        """Of a number or a macro; unknown names are 0."""
        return whole_number(word if word[0].isdigit() else self._macros.get(word, "0"))
