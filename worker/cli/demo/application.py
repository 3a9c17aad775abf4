"""Command line: finds the application that `worker demo` shows, and its config."""

from __future__ import annotations

import ast
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
    found = _folders()
    if not found:
        raise exits.Quit(exits.USAGE, "the applications are not here: run `worker demo` in the project's folder")
    plain = re.sub(r"[ -]", "_", name)
    if plain not in found:
        raise exits.Quit(exits.USAGE, f"no application {name!r} to show; {nearest(plain, list(found))}")
    module = importlib.import_module(f"apps.{plain}.demonstration")
    folder = found[plain]
    return Application(plain, folder / "worker.toml", folder.parents[1], module.DEMONSTRATION)


def listed() -> str:
    """A line for each application: its name, and what the first line of its package says. None of them is imported."""
    lines = []
    for name, folder in _folders().items():
        package = folder / "__init__.py"
        text = (ast.get_docstring(ast.parse(package.read_text())) if package.exists() else None) or ""
        summary = text.partition("\n")[0].partition(": ")[2]
        lines.append(f"  {name:18} {summary}".rstrip())
    return "\n".join(lines) or "  none here: run it in the project's folder"


def _folders() -> dict[str, Path]:
    spec = importlib.util.find_spec("apps")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ()) if spec] if spec else []
    return {path.parent.name: path.parent for folder in folders for path in sorted(folder.glob("*/demonstration.py"))}
