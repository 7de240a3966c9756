# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the constants of a C file that a tool generated.

The cloud and the manifest tool hand out credentials as C source. What counts is what a compiler
would put into the program, so the file is read as one would read it: comments and preprocessor
lines first (here), then the declarations (pycparser), then their initialisers.
"""

from __future__ import annotations

import math
import operator
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import PelionError
from ..libraries import Absent

try:
    from pycparser import c_ast
    from pycparser.c_parser import CParser
except ImportError:
    c_ast = CParser = Absent("pycparser")


# The largest file known is 15 kB. The bound keeps the parser within seconds.
MAX_BYTES = 128 * 1024
MAX_DIRECTIVES = 1000

# Who puts these credentials into a device builds with these: MBED_CLOUD_DEV_UPDATE_* select the parts
# of update_default_resources.c (manifest-tool 1.x), and with developer mode on, the template of
# mbed-cloud-client-example says by #error that it is only a template.
BUILD_MACROS = {
    "MBED_CLOUD_DEV_UPDATE_ID": 1,
    "MBED_CLOUD_DEV_UPDATE_CERT": 1,
    "MBED_CLOUD_DEV_UPDATE_PSK": 1,
    "MBED_CONF_APP_DEVELOPER_MODE": 1,
}

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
_TYPEDEFS = "".join(
    f"typedef unsigned int {name};"
    for name in ("int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "size_t")
)


class CSourceError(PelionError):
    """A file is not C source of the expected kind. Names file, line and reason, never its content."""

    def __init__(self, source: str, line: int | None, reason: str) -> None:
        super().__init__(f"{source}{f', line {line}' if line else ''}: {reason}", source=source, line=line)


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


def read_c_file(path: Path) -> bytes:
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
        lines, left_out = _preprocess(_decode(text, source), source)
        constants = _constants(_parse(_TYPEDEFS + "\n".join(lines), source), source)
    except RecursionError:
        raise CSourceError(source, None, "is nested too deeply for a credentials file") from None
    _check_sizes(constants, source)
    return CSource(source, constants, tuple(left_out))


def _constants(declarations: list[c_ast.Node], source: str) -> dict[str, CConstant]:
    constants: dict[str, CConstant] = {}
    reader = _Reader(source, constants)
    for declaration in declarations:
        if isinstance(declaration, c_ast.Typedef):
            continue
        if not isinstance(declaration, c_ast.Decl):
            raise CSourceError(source, _line(declaration), "only declarations of constants are expected here")
        if declaration.init is None:
            continue
        if declaration.name in constants:
            earlier = constants[declaration.name].line
            raise CSourceError(source, _line(declaration), f"{declaration.name} is defined here and in line {earlier}")
        constants[declaration.name] = reader.constant(declaration)
    return constants


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


# --- text ---


def _decode(text: bytes, source: str) -> str:
    """``text`` as one character per byte, with line ends as ``\\n``."""
    if len(text) > MAX_BYTES:
        raise CSourceError(source, None, f"is larger than {MAX_BYTES // 1024} KiB, so no credentials file")
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


def _strip_comments(text: str, source: str) -> str:
    """``text`` without comments and spliced lines, each line keeping its number.

    String literals come out with all but letters and digits as three-digit octal escapes. So they
    hold nothing that later steps could stumble over, and a literal's end also ends its last escape
    when adjacent literals are joined (``"\\x1" "2"`` is two characters).
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
            content = _unescape(match["string"]) if match["string_end"] else None
        except ValueError:
            content = None
        if content is None:
            # Fine where no parser looks: in an #error line, under #if 0. Else it is refused there.
            return match[0]
        return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):03o}" for c in content) + '"'

    text = _join_spliced_lines(text)
    return _TOKEN.sub(replace, text)


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


def _unescape(literal: str) -> str:
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


# --- preprocessor ---

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
            raise CSourceError(self.source, line, f"the file is only a template, it says: {printable(text)}")
        elif name == "define":
            self._define(line, text)
        elif name == "undef":
            self.macros.pop(text, None)
        elif name not in _IGNORED:
            raise CSourceError(self.source, line, f"unknown preprocessor line #{printable(name)}")

    def _branch(self, line: int, name: str, text: str) -> None:
        if not self.stack:
            raise CSourceError(self.source, line, f"#{name} without #if")
        conditional = self.stack[-1]
        if not conditional.active and conditional.enclosing_active:
            self.left_out.append(f"lines {conditional.line} to {line} ({printable(conditional.text)})")
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
            raise CSourceError(self.source, line, f"cannot tell whether this holds: #if {printable(text)}")
        return value != 0

    def _value(self, expression: str) -> int | None:
        """The value of an expression as #if sees it: unknown names are 0. None when it has none."""
        expression = re.sub(
            r"\bdefined\b\s*(?:\(\s*(\w+)\s*\)|(\w+))",
            lambda match: str(int((match[1] or match[2]) in self.macros)),
            expression,
        )
        try:
            (declaration,) = _parse(f"int x = ({expression}\n);", self.source)
            return _Reader(self.source, names=lambda name: self.macros.get(name, 0)).number(declaration.init)
        except (CSourceError, ValueError):
            return None


def _preprocess(text: str, source: str) -> tuple[list[str], list[str]]:
    preprocessor = _Preprocessor(source)
    lines: list[str] = []
    directives = 0
    for number, line in enumerate(_strip_comments(text, source).split("\n"), 1):
        if match := _DIRECTIVE.fullmatch(line):
            directives += 1
            if directives > MAX_DIRECTIVES:
                raise CSourceError(source, number, f"has more than {MAX_DIRECTIVES} preprocessor lines")
            preprocessor.directive(number, match[1], match[2])
            line = ""
        lines.append(line if preprocessor.active else "")
    if preprocessor.stack:
        open_one = preprocessor.stack[-1]
        raise CSourceError(source, open_one.line, f"{printable(open_one.text)} has no #endif: the file is truncated")
    return lines, preprocessor.left_out


# --- declarations ---

_kept = threading.local()


def _parser() -> CParser:
    """This thread's parser: it keeps the state of its parsing, and is slow to make before pycparser 3."""
    if not hasattr(_kept, "parser"):
        _kept.parser = CParser()
    return _kept.parser


def _parse(text: str, source: str) -> list[c_ast.Node]:
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


def _line(node: c_ast.Node) -> int | None:
    return node.coord.line if node.coord else None


class _Reader:
    """Evaluates initialisers, given the constants defined above them or a way to look names up."""

    def __init__(
        self,
        source: str,
        constants: dict[str, CConstant] | None = None,
        names: Callable[[str], int | None] = lambda name: None,
    ) -> None:
        self.source = source
        self.constants = {} if constants is None else constants
        self.names = names

    def constant(self, declaration: c_ast.Decl) -> CConstant:
        line = _line(declaration) or 0
        try:
            kind = declaration.type
            if isinstance(kind, c_ast.ArrayDecl):
                value, size = self._array(_type_name(kind.type), kind.dim, declaration.init)
            elif isinstance(kind, c_ast.PtrDecl):
                if _type_name(kind.type) not in CHARACTERS:
                    raise ValueError("a pointer to something else than char")
                value, size = self._array("char", None, declaration.init)
                size = 4  # of a pointer, on the 32-bit devices that MBL runs on
            else:
                value = self._integer(_type_name(kind), declaration.init)
                size = len(value)
        except ValueError as error:
            raise CSourceError(self.source, line, f"{printable(declaration.name)}: {error}") from None
        return CConstant(value, size, line)

    def _array(self, element: str, dimension: c_ast.Node | None, init: c_ast.Node) -> tuple[bytes, int]:
        """An array's value, and its size in bytes."""
        if element not in CHARACTERS + OCTETS:
            raise ValueError(f"an array of {printable(element)}; only arrays of bytes or characters are known")
        if isinstance(init, c_ast.InitList) and len(init.exprs) == 1 and _is_string(init.exprs[0]):
            init = init.exprs[0]
        declared = None if dimension is None else self.number(dimension)
        if _is_string(init):
            content = _string(init)
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
            content = content.ljust(declared, b"\0")
        if element in OCTETS:
            return content, len(content)
        text = content.rstrip(b"\0")
        if b"\0" in text:
            raise ValueError("a string with a NUL character inside, where a device would cut it off")
        return text, len(content)

    def _octet(self, node: c_ast.Node, lowest: int) -> int:
        number = self.number(node)
        if not lowest <= number <= 255:
            raise ValueError("an element that is no byte (0 to 255)")
        return number % 256

    def _integer(self, kind: str, init: c_ast.Node) -> bytes:
        bits = 8 if kind in CHARACTERS + OCTETS else INTEGERS.get(kind)
        if bits is None:
            raise ValueError(f"a variable of the type {printable(kind)}, which is not known here")
        number = self.number(init)
        if not 0 <= number < 2**bits:
            raise ValueError(f"a number that a {printable(kind)} cannot hold, or a negative one")
        return number.to_bytes(4, "little")

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
            value = self.names(node.name)
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
            raise ValueError("a shift by more than the bits there are")
        if node.op not in _BINARY:
            raise ValueError("is not a constant number")
        return _bounded(int(_BINARY[node.op](left, right)))

    def _sizeof(self, node: c_ast.Node) -> int:
        if isinstance(node, c_ast.ID) and node.name in self.constants:
            return self.constants[node.name].size
        raise ValueError("the sizeof of something that is not defined above")


_UNARY = {"-": operator.neg, "+": operator.pos, "~": operator.invert, "!": lambda value: int(not value)}
_BINARY = {
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
        character = _unescape(text[1:-1])
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


def _is_string(node: c_ast.Node) -> bool:
    return isinstance(node, c_ast.Constant) and node.type == "string"


def _string(node: c_ast.Constant) -> bytes:
    """The bytes of a string literal, or of several adjacent ones."""
    if not re.fullmatch(r'(?:u8)?"[^"]*"(?:\s*(?:u8)?"[^"]*")*', node.value):
        raise ValueError("a string with an escape sequence or a prefix that is not known here")
    return "".join(map(_unescape, re.findall(r'"([^"]*)"', node.value))).encode("latin-1")


def _type_name(node: c_ast.Node) -> str:
    if isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.IdentifierType):
        return " ".join(node.type.names)
    return "of some other kind"


def printable(text: str) -> str:
    """``text`` out of a file, short and harmless enough for an error message."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text[:80])
