"""Command line: environment variables inside the text of a config key.

`${NAME}` is the variable's text, `${NAME:-default}` the default where it is unset or empty; a default may hold further
references. `$${` is a plain `${`. What a variable holds is taken as it is and never expanded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class BadReference(ValueError):
    """A `${...}` that cannot be taken: `str()` says which variables are missing, or what is malformed."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text whose references are replaced, and the variables it named (those of unused defaults are left out)."""

    text: str
    names: tuple[str, ...]


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    """Replace every reference. Raises BadReference naming all variables that are missing, or what is malformed."""
    expansion = _Expansion(text, environ)
    result, _ = expansion.plain(0, nested=False)
    missing = list(dict.fromkeys(expansion.missing))
    if missing:
        what = "variable" if len(missing) == 1 else "variables"
        listed = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'}"
        raise BadReference(
            f"environment {what} {listed} not set (or empty); set it, or write "
            f"${{{missing[0].rpartition(' ')[2]}:-default}}"
        )
    return Expanded(result, tuple(dict.fromkeys(expansion.names)))


class _Expansion:
    """One text on its way: which variables it named, and which of them are missing."""

    def __init__(self, text: str, environ: Mapping[str, str]) -> None:
        self._text = text
        self._environ = environ
        self.names: list[str] = []
        self.missing: list[str] = []

    def plain(self, at: int, *, nested: bool) -> tuple[str, int]:
        """The expanded text from `at` to the end, or to the `}` that closes a default; and the position there."""
        parts: list[str] = []
        while at < len(self._text) and not (nested and self._text[at] == "}"):
            if self._text.startswith("$${", at):
                parts.append("${")
                at += 3
            elif self._text.startswith("${", at):
                part, at = self._reference(at + 2)
                parts.append(part)
            else:
                parts.append(self._text[at])
                at += 1
        return "".join(parts), at

    def _reference(self, at: int) -> tuple[str, int]:
        """What the reference gives whose name starts at `at`, and the position behind its `}`."""
        match = _NAME.match(self._text, at)
        if match is None:
            raise BadReference(f"after '${{' comes the name of a variable, not {self._text[at : at + 10]!r}")
        name, at = match.group(), match.end()
        value = self._environ.get(name, "")
        self.names.append(name)
        if self._text.startswith(":-", at):
            named, missed = len(self.names), len(self.missing)
            default, at = self.plain(at + 2, nested=True)
            # One would do: the text names the variable itself, and what its default would need.
            self.missing[missed:] = [f"{name} or {other}" for other in self.missing[missed:]]
            if value:  # a default that is not used may name variables that do not exist
                del self.names[named:], self.missing[missed:]
            value = value or default
        elif not value:
            self.missing.append(name)
        if not self._text.startswith("}", at):
            raise BadReference(f"'${{{name}' is not closed: write ${{{name}}} or ${{{name}:-default}}")
        return value, at + 1
