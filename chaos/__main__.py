"""Command line: `python -m chaos`: a storm, a verdict; exit code 0 if nothing was lost and all is explained, else 1."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson

from chaos import report
from chaos.options import options, parse
from chaos.run import end_on_signals, run
from chaos.scene import Tell


def main(arguments: list[str] | None = None) -> int:
    """Run, report, and keep the logs if they are wanted or the verdict is bad."""
    given = parse(arguments)
    end_on_signals()
    folder = given.logs or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _progress() as tell:
            result = run(options(given, folder), tell)
    except SystemExit:  # broken off: without a verdict nobody asks for the logs
        if not given.logs:
            shutil.rmtree(folder)
        raise
    except Exception as error:
        error.add_note(f"logs: {folder}")
        raise
    sys.stdout.write(report.text(result) + "\n")
    if given.json:
        given.json.write_bytes(orjson.dumps(report.as_json(result), option=orjson.OPT_INDENT_2))
    if given.logs or not result.verdict.valid:
        sys.stdout.write(f"\nlogs: {folder}\n")
    else:
        shutil.rmtree(folder)
    return 0 if result.verdict.valid else 1


@contextlib.contextmanager
def _progress() -> Iterator[Tell]:
    """One line that is always up to date, on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield status.update


if __name__ == "__main__":
    raise SystemExit(main())
