# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""C expressions: parsed by pycparser, and the values of those that are constant."""

from __future__ import annotations

import math
import operator
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..libraries import Absent, is_installed
from .c_errors import CSourceError
from .c_text import unescape

if TYPE_CHECKING or is_installed("pycparser"):
    from pycparser import c_ast
    from pycparser.c_parser import CParser
else:
    c_ast = CParser = Absent()


MAX_FOLLOWING_BRACKETS = 1000
"""As in ``x[1][1]``, where the parser's time grows with their number's square. Tools write none."""

_kept = threading.local()


def _parser() -> CParser:
    """This thread's parser: it keeps the state of its parsing, and is slow to make before pycparser 3."""
    if not hasattr(_kept, "parser"):
        _kept.parser = CParser()
    return _kept.parser


def parse(text: str, source: str) -> list[c_ast.Node]:
    """The declarations in ``text``, which is C without comments and preprocessor lines. Raises CSourceError."""
    if len(re.findall(r"[\])]\s*[\[(]", text)) > MAX_FOLLOWING_BRACKETS:
        raise CSourceError(source, None, f"has more than {MAX_FOLLOWING_BRACKETS} brackets that follow another")
    try:
        return _parser().parse(text, "c").ext or []
    except RecursionError:
        raise
    except Exception as error:  # pycparser lets its own AssertionError, AttributeError, … out on odd input
        place = re.match(r"c:(\d+):\d+: ", str(error))
        if not place:
            last = text.rstrip().count("\n") + 1
            raise CSourceError(source, last, "ends in the middle of a declaration: the file is truncated") from None
        # What stands there may be a part of a key, so only punctuation is shown.
        before = re.search(r"before: ([^\w\s\"'\\]+)$", str(error))
        raise CSourceError(
            source, int(place[1]), "this is not C" + (f" (at {before[1]!r})" if before else "")
        ) from None


def line(node: c_ast.Node) -> int | None:
    """The line that ``node`` stands in."""
    return node.coord.line if node.coord else None


def nothing(name: str) -> int | None:
    """Where no name has a value."""
    return None


class Evaluator:
    """Evaluates constant expressions, given ways to look up the values and the sizes of names."""

    def __init__(
        self, names: Callable[[str], int | None] = nothing, sizes: Callable[[str], int | None] = nothing
    ) -> None:
        self._names = names
        self._sizes = sizes

    def number(self, node: c_ast.Node) -> int:
        """The value of a constant expression. Raises ValueError."""
        if isinstance(node, c_ast.Constant):
            return _literal(node.value)
        if isinstance(node, c_ast.UnaryOp) and node.op == "sizeof":
            return self._sizeof(node.expr)
        if isinstance(node, c_ast.UnaryOp) and node.op in _UNARY:
            return _bounded(_UNARY[node.op](self.number(node.expr)))
        if isinstance(node, c_ast.BinaryOp):
            return self._binary(node)
        if isinstance(node, c_ast.TernaryOp):
            return self.number(node.iftrue if self.number(node.cond) else node.iffalse)
        if isinstance(node, c_ast.ID):
            value = self._names(node.name)
            if value is not None:
                return value
        raise ValueError("is not a constant number")

    def _binary(self, node: c_ast.BinaryOp) -> int:
        left = self.number(node.left)
        if node.op in ("&&", "||") and bool(left) == (node.op == "||"):
            return int(bool(left))
        right = self.number(node.right)
        if node.op in ("/", "%") and right == 0:
            raise ValueError("a division by zero")
        if node.op in ("<<", ">>") and not 0 <= right < 64:
            raise ValueError("a shift by more bits than the type has")
        if node.op not in _BINARY:
            raise ValueError("is not a constant number")
        return _bounded(int(_BINARY[node.op](left, right)))

    def _sizeof(self, node: c_ast.Node) -> int:
        size = self._sizes(node.name) if isinstance(node, c_ast.ID) else None
        if size is not None:
            return size
        raise ValueError("the sizeof of something that is not defined above")


_UNARY: dict[str, Callable[[int], int]] = {
    "-": operator.neg,
    "+": operator.pos,
    "~": operator.invert,
    "!": lambda value: int(not value),
}
_BINARY: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1),
    "%": lambda left, right: int(math.fmod(left, right)),
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "&&": lambda left, right: bool(right),
    "||": lambda left, right: bool(right),
}


def _bounded(number: int) -> int:
    if not -(2**63) <= number < 2**64:
        raise ValueError("a number of more than 64 bits")
    return number


def _literal(text: str) -> int:
    """The value of a number or character constant."""
    if text.startswith("'"):
        character = unescape(text[1:-1])
        if len(character) != 1:
            raise ValueError("a character constant that is not one byte")
        return ord(character)
    if len(text) > 70:
        raise ValueError("a number of more than 64 bits")
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)[uUlL]*", text)
    if not match:
        raise ValueError("is not a whole number")
    digits = match[1]
    base = 16 if digits[:2] in ("0x", "0X") else 2 if digits[:2] in ("0b", "0B") else 8 if digits[0] == "0" else 10
    return _bounded(int(digits[2:] if base in (2, 16) else digits, base))


def is_string(node: c_ast.Node) -> bool:
    return isinstance(node, c_ast.Constant) and node.type == "string"


def string(node: c_ast.Constant) -> bytes:
    """The bytes of a string literal, or of several adjacent ones."""
    if not re.fullmatch(r'(?:u8)?"[^"]*"(?:\s*(?:u8)?"[^"]*")*', node.value):
        raise ValueError("a string with an escape sequence or a prefix that is not known here")
    return "".join(map(unescape, re.findall(r'"([^"]*)"', node.value))).encode("latin-1")
