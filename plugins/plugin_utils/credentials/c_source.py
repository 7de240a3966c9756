# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the constants of a C file that a tool generated.

The cloud and the manifest tool hand out credentials as C source. What counts is what a compiler would put into the
program, so a file is read as one would read it (comments, preprocessor lines, escape sequences), as far as tools write
it, and all else is refused rather than guessed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..words import printable
from .c_errors import LONGEST_QUOTE, CSourceError
from .c_preprocessor import Preprocessor, whole_number
from .c_text import MAX_BYTES, Token, decode, unescape

CHARACTERS = ("char", "signed char", "int8_t")
OCTETS = ("unsigned char", "uint8_t")
INTEGERS = dict.fromkeys(CHARACTERS + OCTETS, 8)
INTEGERS |= dict.fromkeys(("int16_t", "uint16_t", "short", "unsigned short"), 16)
INTEGERS |= dict.fromkeys(("int32_t", "uint32_t", "size_t", "int", "unsigned", "unsigned int"), 32)
INTEGERS |= dict.fromkeys(("long", "unsigned long"), 32)
QUALIFIERS = ("const", "static", "extern", "volatile")


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


@dataclass(frozen=True)
class CSource:
    """The constants of one file by name, and the conditional parts that were left out."""

    name: str
    constants: dict[str, CConstant]
    left_out: tuple[str, ...] = ()


def read_small_file(path: Path) -> bytes:
    """The content of the file at ``path``. Raises CSourceError for what cannot be a C file."""
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise CSourceError(str(path), None, "is not a regular file")
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CSourceError(str(path), None, f"cannot be read: {error.strerror}") from error


def parse_c_source(text: bytes, source: str) -> CSource:
    """The constants that the C file ``text`` defines; ``source`` is how errors call it.

    Raises CSourceError when it is no such file, or holds what cannot be read without guessing.
    """
    preprocessor = Preprocessor(source)
    tokens = preprocessor.tokens(decode(text, source))
    ends = [-1, *(at for at, token in enumerate(tokens) if token.text == ";")]
    reader = _Reader(source)
    for before, end in pairwise(ends):
        reader.declaration(tokens[before + 1 : end])
    if ends[-1] != len(tokens) - 1:
        reason = "ends in the middle of a declaration: the file is truncated"
        raise CSourceError(source, tokens[-1].line, reason)
    _check_sizes(reader.constants, source)
    return CSource(source, reader.constants, tuple(preprocessor.left_out))


def _check_sizes(constants: dict[str, CConstant], source: str) -> None:
    """Generated files state each array's size; where they disagree, a part of the array is missing."""
    for name, constant in constants.items():
        array = constants.get(re.sub(r"_(size|SIZE)$", "", name), constant)
        stated = int.from_bytes(constant.value, "little")
        if array is not constant and stated not in (array.size, len(array.value)):
            raise CSourceError(
                source,
                constant.line,
                f"{name} is {stated}, but the array has {array.size} bytes: a part of it is missing, or it was edited",
            )


# Words, then maybe [dimension]; what else may stand before an initialiser is not for constants.
_HEAD = re.compile(r"((?:(?:\w+|\*) )+)(\w+)( \[(?: ([^\[\]]+))? \])?", re.ASCII)


class _Reader:
    """Reads declarations, given the constants defined above them."""

    def __init__(self, source: str) -> None:
        self.constants: dict[str, CConstant] = {}
        self._source = source
        self._room = MAX_BYTES

    def declaration(self, tokens: Sequence[Token]) -> None:
        if not tokens:
            return
        at = next((at for at, token in enumerate(tokens) if token.text == "="), len(tokens))
        head = _HEAD.fullmatch(" ".join(token.text for token in tokens[:at]))
        if not head:
            raise CSourceError(self._source, tokens[0].line, "only declarations of constants are expected here")
        if at == len(tokens):
            return
        words, name, brackets, dimension = head.groups()
        line = next(token.line for token in tokens if token.text == name)
        if name in self.constants:
            earlier = self.constants[name].line
            raise CSourceError(self._source, line, f"{name} is defined here and in line {earlier}")
        kind = " ".join(word for word in words.split() if word not in QUALIFIERS)
        try:
            value, size = self._value(kind, bool(brackets), dimension, tokens[at + 1 :])
        except ValueError as error:
            raise CSourceError(self._source, line, f"{printable(name, LONGEST_QUOTE)}: {error}") from None
        self.constants[name] = CConstant(value, size, line)

    def _value(self, kind: str, is_array: bool, dimension: str | None, init: Sequence[Token]) -> tuple[bytes, int]:
        """The value and the size in bytes."""
        if kind.removesuffix(" *") in CHARACTERS and kind.endswith("*") and not is_array:
            return self._array("char", None, init)[0], 4  # of a pointer, on the 32-bit devices that MBL runs on
        if is_array and kind in CHARACTERS + OCTETS:
            return self._array(kind, dimension, init)
        if is_array or kind not in INTEGERS:
            kind = printable(kind + "[]" * is_array, LONGEST_QUOTE)
            raise ValueError(f"a variable of the type {kind}; only bytes, characters and whole numbers are known")
        number = self._number(init)
        if number >= 2 ** INTEGERS[kind]:
            raise ValueError(f"a number that a {kind} cannot hold")
        return number.to_bytes(4, "little"), INTEGERS[kind] // 8

    def _array(self, element: str, dimension: str | None, init: Sequence[Token]) -> tuple[bytes, int]:
        declared = None if dimension is None else whole_number(dimension)
        is_list = len(init) >= 2 and init[0].text == "{" and init[-1].text == "}"
        inner = init[1:-1] if is_list else init
        if inner and all(token.kind == "string" for token in inner):
            content = "".join(unescape(token.text[1:-1]) for token in inner).encode("latin-1")
            # C lets an array be exactly too short for the terminating NUL.
            content += b"\0" if declared is None or declared > len(content) else b""
        elif is_list:
            content = self._octets(inner)
        else:
            raise ValueError("is initialised with neither a string nor { numbers }")
        if declared is not None:
            # A few letters can stand for many bytes.
            self._room -= declared
            if self._room < 0:
                raise ValueError(f"the arrays up to here have more than {MAX_BYTES // 1024} KiB")
            if len(content) > declared:
                raise ValueError(f"has {len(content)} bytes for an array of {declared}")
            content = content.ljust(declared, b"\0")
        if element in OCTETS:
            return content, len(content)
        text = content.rstrip(b"\0")
        if b"\0" in text:
            raise ValueError("a string with a NUL character inside, where a device would cut it off")
        return text, len(content)

    def _octets(self, items: Sequence[Token]) -> bytes:
        """Those of numbers and characters with commas between them; one may follow the last."""
        octets = bytearray()
        for item, comma in zip(items[::2], (*items[1::2], None), strict=False):
            character = unescape(item.text[1:-1]) if item.kind == "character" else ""
            if (comma and comma.text != ",") or (item.kind == "character" and len(character) != 1):
                raise ValueError("an element that is not a constant number or character")
            octet = ord(character) if character else whole_number(item.text)
            if octet > 255:
                raise ValueError("an element that is not a byte (0 to 255)")
            octets.append(octet)
        return bytes(octets)

    def _number(self, init: Sequence[Token]) -> int:
        """That of ``7``, ``sizeof(x)`` or a product of those."""
        number = 1
        for factor in " ".join(token.text for token in init).split("*"):
            if sizeof := re.fullmatch(r" ?sizeof (?:\( (\w+) \)|(\w+)) ?", factor, re.ASCII):
                array = self.constants.get(sizeof[1] or sizeof[2])
                if array is None:
                    raise ValueError("the sizeof of something that is not defined above")
                number *= array.size
            else:
                number *= whole_number(factor.strip())
            if number >= 2**64:
                raise ValueError("a number of more than 64 bits")
        return number
