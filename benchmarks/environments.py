"""Benchmark process: environments of their own, in `.bench/`, for programs that the project does not depend on."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import ROOT

#: Where they lie; git ignores it, `make clean` removes it.
CACHE = ROOT / ".bench"
_STAMP = "installed"


def python_of(name: str) -> Path:
    """The interpreter of an environment."""
    return CACHE / name / "bin" / "python"


def ready(name: str, packages: tuple[str, ...]) -> bool:
    """Whether an environment holds exactly these packages."""
    stamp = CACHE / name / _STAMP
    return stamp.exists() and stamp.read_text() == _mark(packages)


def make_python(name: str, packages: tuple[str, ...]) -> None:
    """A virtual environment with these packages from PyPI. Raises CalledProcessError."""
    if ready(name, packages):
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(CACHE / name)], check=True)
    pip = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)
    (CACHE / name / _STAMP).write_text(_mark(packages))


def make_node(name: str, packages: tuple[str, ...]) -> None:
    """A folder with these packages from npm. Raises CalledProcessError; FileNotFoundError without npm."""
    if ready(name, packages):
        return
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", *packages], cwd=folder, check=True)  # noqa: S607 - npm
    (folder / _STAMP).write_text(_mark(packages))


def _mark(packages: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(packages).encode()).hexdigest()
