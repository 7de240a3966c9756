# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the C preprocessor leaves of a file, as far as generated files need one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..words import printable
from .c_errors import LONGEST_QUOTE, CSourceError
from .c_expression import Evaluator, parse
from .c_text import as_read, strip_comments

MAX_DIRECTIVES = 1000

LONGEST_MESSAGE = 300
"""How many characters of an #error's text are shown. It is meant for people, and a sentence."""

# Who puts these credentials into a device builds with these: MBED_CLOUD_DEV_UPDATE_* select the parts
# of update_default_resources.c (manifest-tool 1.x), and with developer mode on, the template of
# mbed-cloud-client-example says by #error that it is only a template.
BUILD_MACROS = {
    "MBED_CLOUD_DEV_UPDATE_ID": 1,
    "MBED_CLOUD_DEV_UPDATE_CERT": 1,
    "MBED_CLOUD_DEV_UPDATE_PSK": 1,
    "MBED_CONF_APP_DEVELOPER_MODE": 1,
}

_DIRECTIVE = re.compile(r"\s*#\s*(\w*)\s*(.*)")
_IGNORED = {"include", "pragma", "line", "warning", "ident", ""}


@dataclass
class _Conditional:
    """One #if … #endif. ``taken`` tells whether one of its branches was, ``active`` whether this one is."""

    line: int
    text: str
    enclosing_active: bool
    taken: bool
    active: bool
    has_else: bool = False


class _Preprocessor:
    """Takes preprocessor lines out of a file, and with them the parts that a compiler would not see."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.macros: dict[str, int | None] = dict(BUILD_MACROS)
        self.stack: list[_Conditional] = []
        self.left_out: list[str] = []

    @property
    def active(self) -> bool:
        return not self.stack or self.stack[-1].active

    def directive(self, line: int, name: str, text: str) -> None:
        text = text.strip()
        if name in ("if", "ifdef", "ifndef"):
            true = self.active and self._is_true(line, name, text)
            self.stack.append(_Conditional(line, f"#{name} {text}", self.active, true, true))
        elif name in ("elif", "else", "endif"):
            self._branch(line, name, text)
        elif not self.active:
            return
        elif name == "error":
            said = printable(as_read(text), LONGEST_MESSAGE)
            raise CSourceError(self.source, line, f"the file is only a template, it says: {said}")
        elif name == "define":
            self._define(line, text)
        elif name == "undef":
            self.macros.pop(text, None)
        elif name not in _IGNORED:
            raise CSourceError(self.source, line, f"unknown preprocessor line #{printable(name, LONGEST_QUOTE)}")

    def _branch(self, line: int, name: str, text: str) -> None:
        if not self.stack:
            raise CSourceError(self.source, line, f"#{name} without #if")
        conditional = self.stack[-1]
        if not conditional.active and conditional.enclosing_active:
            self.left_out.append(f"lines {conditional.line} to {line} ({printable(conditional.text, LONGEST_QUOTE)})")
        if name == "endif":
            self.stack.pop()
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

    def _define(self, line: int, text: str) -> None:
        match = re.match(r"([A-Za-z_]\w*)(\(?)\s*(.*)", text)
        if not match:
            raise CSourceError(self.source, line, "#define without a name")
        name, parenthesis, body = match.groups()
        # Macros that are no numbers cannot be asked for in #if, but nothing else asks for them.
        self.macros[name] = None if parenthesis else self._value(body) if body else None

    def _is_true(self, line: int, name: str, text: str) -> bool:
        if name != "if":
            if not re.fullmatch(r"[A-Za-z_]\w*", text):
                raise CSourceError(self.source, line, f"#{name} needs one name")
            return (text in self.macros) == (name == "ifdef")
        value = self._value(text)
        if value is None:
            raise CSourceError(
                self.source, line, f"cannot tell whether this holds: #if {printable(text, LONGEST_QUOTE)}"
            )
        return value != 0

    def _value(self, expression: str) -> int | None:
        """The value of an expression as #if sees it: unknown names are 0. None when it has none."""
        expression = re.sub(
            r"\bdefined\b\s*(?:\(\s*(\w+)\s*\)|(\w+))",
            lambda match: str(int((match[1] or match[2]) in self.macros)),
            expression,
        )
        try:
            (declaration,) = parse(f"int x = ({expression}\n);", self.source)
            return Evaluator(lambda name: self.macros.get(name, 0)).number(declaration.init)
        except (CSourceError, ValueError):
            return None


def preprocess(text: str, source: str) -> tuple[list[str], list[str]]:
    """The lines of ``text`` that a compiler would see, the others empty, and the conditional parts that it would not.

    Raises CSourceError, also for an #error that would be met.
    """
    preprocessor = _Preprocessor(source)
    lines: list[str] = []
    directives = 0
    for number, line in enumerate(strip_comments(text, source).split("\n"), 1):
        if match := _DIRECTIVE.fullmatch(line):
            directives += 1
            if directives > MAX_DIRECTIVES:
                raise CSourceError(source, number, f"has more than {MAX_DIRECTIVES} preprocessor lines")
            preprocessor.directive(number, match[1], match[2])
            line = ""
        lines.append(line if preprocessor.active else "")
    if preprocessor.stack:
        open_one = preprocessor.stack[-1]
        raise CSourceError(
            source, open_one.line, f"{printable(open_one.text, LONGEST_QUOTE)} has no #endif: the file is truncated"
        )
    return lines, preprocessor.left_out
