"""Command line: finds the application that `worker demo` shows, and its config."""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from worker.cli import exits
from worker.config.problems import nearest
from worker.testing.demonstration import Demonstration


@dataclass(frozen=True, slots=True)
class Application:
    """One folder of `apps/`."""

    name: str
    config: Path
    root: Path  #: the folder that holds `apps`, so that the pool finds its modules
    demonstration: Demonstration


def find(name: str) -> Application:
    """The application of that name. Raises Quit if there is none, naming the nearest."""
    spec = importlib.util.find_spec("apps")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ()) if spec] if spec else []
    found = {path.parent.name: path.parent for folder in folders for path in sorted(folder.glob("*/demonstration.py"))}
    if not found:
        raise exits.Quit(exits.USAGE, "the applications are not here: run `worker demo` in the project's folder")
    plain = re.sub(r"[ -]", "_", name)
    if plain not in found:
        raise exits.Quit(exits.USAGE, f"no application {name!r}; {nearest(plain, list(found))}")
    module = importlib.import_module(f"apps.{plain}.demonstration")
    folder = found[plain]
    return Application(plain, folder / "worker.toml", folder.parents[1], module.DEMONSTRATION)
