"""Command line: variables from a `.env` file, as `docker compose` and editors write it. Values are never shown."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from worker.config import ConfigError, Problem
from worker.config.permissions import check_permissions

#: What os.environ takes, and every shell.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Names whose values nobody else should read.
_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_KEY", re.IGNORECASE)


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file, every `$` as it stands. Raises ConfigError naming each line that is none.

    A file that others may write is refused as the config is: PATH and PYTHONPATH choose what runs.
    """
    try:
        text = path.read_text(encoding="utf-8")
        complaints = [Problem(file=str(path), text=one) for one in check_permissions(path)]
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError([Problem(file=str(path), text=f"cannot be read: {reason}")]) from None
    bindings = [one for one in parse_stream(io.StringIO(text)) if one.error or one.key is not None]
    complaints += _complaints(bindings, path)
    if complaints:
        raise ConfigError(complaints)
    return {one.key: one.value for one in bindings if one.key is not None and one.value is not None}


def open_secrets(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    """The variables that sound secret, if everybody on this machine may read the file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ()  # gone since it was read
    if not mode & stat.S_IROTH:
        return ()
    return tuple(sorted(name for name in names if _SECRET.search(name)))


def _complaints(bindings: Iterable[Binding], path: Path) -> Iterator[Problem]:
    for one in bindings:
        text = one.original.string
        # The parser counts from the blank lines before a binding.
        line = one.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        if one.error or one.value is None:
            yield Problem(file=str(path), line=line, text="expected NAME=text, or a quote is not closed")
        elif not _NAME.fullmatch(one.key or ""):
            # Not shown: it may be a line of a private key that lacks its quotes.
            yield Problem(file=str(path), line=line, text="what is before the = cannot be the name of a variable")
        elif "\0" in one.value:
            yield Problem(file=str(path), line=line, text=f"the text of {one.key} has a null byte")
