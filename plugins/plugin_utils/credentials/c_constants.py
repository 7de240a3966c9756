# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constants that C declarations define, as a device has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..libraries import Absent, is_installed
from ..words import printable
from .c_errors import LONGEST_QUOTE, CSourceError
from .c_expression import Evaluator, is_string, line, string
from .c_text import MAX_BYTES

if TYPE_CHECKING or is_installed("pycparser"):
    from pycparser import c_ast
else:
    c_ast = Absent()


CHARACTERS = ("char", "signed char", "int8_t")
OCTETS = ("unsigned char", "uint8_t")
INTEGERS = {
    "int16_t": 16,
    "uint16_t": 16,
    "short": 16,
    "unsigned short": 16,
    "int32_t": 32,
    "uint32_t": 32,
    "int": 32,
    "unsigned": 32,
    "unsigned int": 32,
    "long": 32,
    "unsigned long": 32,
    "size_t": 32,
}


@dataclass(frozen=True)
class CConstant:
    """One initialised variable.

    ``value`` is what the device stores for it: the characters of a string without the terminating
    NUL, the bytes of an array, a whole number as 4 little-endian bytes. ``size`` is what ``sizeof``
    gives for it on a device.
    """

    value: bytes
    size: int
    line: int

    def __repr__(self) -> str:
        return f"CConstant(size={self.size}, line={self.line})"


def read_constants(declarations: list[c_ast.Node], source: str) -> dict[str, CConstant]:
    """The initialised variables among ``declarations``, by name. Raises CSourceError."""
    constants: dict[str, CConstant] = {}
    reader = _Reader(source, constants)
    for declaration in declarations:
        if isinstance(declaration, c_ast.Typedef):
            continue
        if not isinstance(declaration, c_ast.Decl):
            raise CSourceError(source, line(declaration), "only declarations of constants are expected here")
        if declaration.init is None:
            continue
        if declaration.name in constants:
            earlier = constants[declaration.name].line
            raise CSourceError(source, line(declaration), f"{declaration.name} is defined here and in line {earlier}")
        constants[declaration.name] = reader.constant(declaration)
    return constants


class _Reader:
    """Reads initialisers, given the constants defined above them."""

    def __init__(self, source: str, constants: dict[str, CConstant]) -> None:
        self._source = source
        self._room = MAX_BYTES
        self._evaluator = Evaluator(sizes=lambda name: constants[name].size if name in constants else None)

    def constant(self, declaration: c_ast.Decl) -> CConstant:
        at = line(declaration) or 0
        try:
            kind = declaration.type
            if isinstance(kind, c_ast.ArrayDecl):
                value, size = self._array(_type_name(kind.type), kind.dim, declaration.init)
            elif isinstance(kind, c_ast.PtrDecl):
                if _type_name(kind.type) not in CHARACTERS:
                    raise ValueError("a pointer to something other than char")
                value, size = self._array("char", None, declaration.init)
                size = 4  # of a pointer, on the 32-bit devices that MBL runs on
            else:
                value = self._integer(_type_name(kind), declaration.init)
                size = len(value)
        except ValueError as error:
            raise CSourceError(self._source, at, f"{printable(declaration.name, LONGEST_QUOTE)}: {error}") from None
        return CConstant(value, size, at)

    def _array(self, element: str, dimension: c_ast.Node | None, init: c_ast.Node) -> tuple[bytes, int]:
        """An array's value, and its size in bytes."""
        if element not in CHARACTERS + OCTETS:
            raise ValueError(
                f"an array of {printable(element, LONGEST_QUOTE)}; only arrays of bytes or characters are known"
            )
        if isinstance(init, c_ast.InitList) and len(init.exprs) == 1 and is_string(init.exprs[0]):
            init = init.exprs[0]
        declared = None if dimension is None else self._evaluator.number(dimension)
        if is_string(init):
            content = string(init)
            # C lets an array be exactly too short for the terminating NUL.
            content += b"\0" if declared is None or declared > len(content) else b""
        elif isinstance(init, c_ast.InitList):
            lowest = -128 if element in CHARACTERS else 0
            content = bytes(self._octet(item, lowest) for item in init.exprs)
        else:
            raise ValueError("is initialised with neither a string nor { numbers }")
        if declared is not None:
            if not len(content) <= declared <= MAX_BYTES:
                raise ValueError(f"has {len(content)} bytes for an array of {declared}")
            self._take_room(declared)
            content = content.ljust(declared, b"\0")
        if element in OCTETS:
            return content, len(content)
        text = content.rstrip(b"\0")
        if b"\0" in text:
            raise ValueError("a string with a NUL character inside, where a device would cut it off")
        return text, len(content)

    def _take_room(self, size: int) -> None:
        """Where a file states sizes, a few letters can stand for many bytes."""
        self._room -= size
        if self._room < 0:
            raise ValueError(f"the arrays up to here have more than {MAX_BYTES // 1024} KiB")

    def _octet(self, node: c_ast.Node, lowest: int) -> int:
        number = self._evaluator.number(node)
        if not lowest <= number <= 255:
            raise ValueError("an element that is not a byte (0 to 255)")
        return number % 256

    def _integer(self, kind: str, init: c_ast.Node) -> bytes:
        bits = 8 if kind in CHARACTERS + OCTETS else INTEGERS.get(kind)
        if bits is None:
            raise ValueError(f"a variable of the type {printable(kind, LONGEST_QUOTE)}, which is not known here")
        number = self._evaluator.number(init)
        if not 0 <= number < 2**bits:
            raise ValueError(f"a number that a {printable(kind, LONGEST_QUOTE)} cannot hold, or a negative one")
        return number.to_bytes(4, "little")


def _type_name(node: c_ast.Node) -> str:
    if isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.IdentifierType):
        return " ".join(node.type.names)
    return "of some other kind"
