"""Command line: on which line of a config file a table or key stands. tomllib does not say.

Only files that tomllib has read come here, so nothing is checked; what is not found has no line number.
"""

from __future__ import annotations

import re

_PART = r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'"""
_DOTTED = rf"(?:{_PART})(?:\s*\.\s*(?:{_PART}))*"
_TABLE = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
#: What changes whether a line break is inside a value: strings whole, openings of long strings, brackets, comments.
_TOKEN = re.compile(r"""\"\"\"|'''|"(?:[^"\\]|\\.)*"|'[^']*'|[\[\]{}]|\#""")
_LONG_ENDS = {
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL),
    "'''": re.compile(r".*?'{3,5}", re.DOTALL),
}


class Positions:
    """Line numbers (from 1) by path, such as ("queues", "orders", "wait")."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        at, line = 0, 1
        while at < len(text):
            end = text.find("\n", at) + 1 or len(text)
            if header := _TABLE.match(text, at, end):
                table = _parts(header.group(1))
                for length in range(1, len(table) + 1):
                    self._lines.setdefault(table[:length], line)
            elif key := _KEY.match(text, at, end):
                path = table + _parts(key.group(1))
                for length in range(len(table) + 1, len(path) + 1):
                    self._lines.setdefault(path[:length], line)
                end = _end_of_value(text, key.end())
            line += text.count("\n", at, end)
            at = end

    def has(self, path: tuple[str, ...]) -> bool:
        """True if that key or table is written in the file."""
        return path in self._lines

    def line(self, path: tuple[str, ...]) -> int:
        """The line of that key, or of the nearest table around it; 0 if neither is written."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part if part[0] not in "\"'" else part[1:-1] for part in re.findall(_PART, dotted))


def _end_of_value(text: str, at: int) -> int:
    """The start of the line after the value that begins at `at`."""
    depth = 0
    while True:
        stop = text.find("\n", at) + 1 or len(text)
        token = _TOKEN.search(text, at, stop)
        if token is None or token.group() == "#":
            if depth == 0 or stop == len(text):
                return stop
            at = stop
        elif token.group() in _LONG_ENDS:
            closing = _LONG_ENDS[token.group()].match(text, token.end())
            if closing is None:
                return len(text)
            at = closing.end()
        else:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
            at = token.end()
