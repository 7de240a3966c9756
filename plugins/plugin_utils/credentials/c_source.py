# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the constants of a C file that a tool generated.

The cloud and the manifest tool hand out credentials as C source. What counts is what a compiler
would put into the program, so the file is read as one would read it: comments (c_text) and preprocessor
lines (c_preprocessor) first, then the declarations (c_expression), then their initialisers (c_constants).
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from .c_constants import CConstant, read_constants
from .c_errors import CSourceError
from .c_expression import parse
from .c_preprocessor import preprocess
from .c_text import MAX_BYTES, decode

_TYPEDEFS = "".join(
    f"typedef unsigned int {name};"
    for name in ("int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "size_t")
)


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
    try:
        lines, left_out = preprocess(decode(text, source), source)
        constants = read_constants(parse(_TYPEDEFS + "\n".join(lines), source), source)
    except RecursionError:
        raise CSourceError(source, None, "is nested too deeply for a credentials file") from None
    _check_sizes(constants, source)
    return CSource(source, constants, tuple(left_out))


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
