"""Command line: `worker init NAME`: a first handler function, its config and its test, in a new folder."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from worker.cli import exits
from worker.cli.skeleton import files
from worker.config import shapes

EPILOG = """\
examples:
  worker init shop
  worker init services/shop
"""
#: Whatever the umask is: a config that its group may write is refused by `worker run`.
_MODE = 0o644


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `worker init`."""
    parser.add_argument("folder", metavar="NAME", help="the folder to make; its last part names pool and queue")


def run(args: argparse.Namespace) -> int:
    """Write the files, none of which may exist, and say how to go on."""
    folder = Path(args.folder)
    name = folder.absolute().name
    if complaint := shapes.pool_name(name) or shapes.queue_name(name.replace(".", "-")):
        raise exits.Quit(exits.USAGE, f"{name!r} is no name for an application: {complaint}")
    texts = files(name)
    there = [str(folder / file) for file in texts if (folder / file).exists()]
    if there:
        raise exits.Quit(exits.CANNOT_CREATE, f"nothing is overwritten, and there is already: {', '.join(there)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            _write(folder / file, text)
    except OSError as error:
        raise exits.Quit(exits.CANNOT_CREATE, f"cannot write {error.filename}: {error.strerror}") from None
    print(f"wrote {', '.join(str(folder / file) for file in texts)}\n\nnext:")
    print(f"  cd {shlex.quote(str(folder))}")
    print("  python -m pytest                               # the handler function alone (pip install pytest)")
    print("""  worker dev --send '{"id": 1, "total": 10}'     # the pool, with an embedded SQS""")
    return exits.OK


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:  # "x": also between the look and now, nothing is overwritten
        file.write(text)
        os.fchmod(file.fileno(), _MODE)
