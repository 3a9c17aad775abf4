"""`make test-all`: the suite on every interpreter from 3.11 to 3.14 that is present, each in its own environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
#: Where version managers keep interpreters that are not on the PATH.
HOMES = (Path.home() / ".pyenv/versions", Path.home() / ".local/share/uv/python")


def interpreter(version: str) -> str | None:
    """A Python of that version that runs; None where there is none."""
    candidates = [shutil.which(f"python{version}")]
    candidates += [str(path) for home in HOMES for path in sorted(home.glob(f"*{version}*/bin/python{version}"))]
    for candidate in filter(None, candidates):
        asked = subprocess.run(
            [candidate, "-c", "import sys, ensurepip; print(sys.executable, '%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        found = asked.stdout.split()
        if asked.returncode == 0 and found[-1:] == [version]:
            return found[0]
    return None


def run(version: str, python: str) -> int:
    """Install and test; the exit code of pytest."""
    folder = ROOT / f".venv-{version}"
    if not (folder / "bin/python").exists():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    own = str(folder / "bin/python")
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", ".[dev]"], cwd=ROOT, check=True)
    unit = subprocess.run([own, "-m", "pytest", "-q", "-m", "not system", "-n", "2"], cwd=ROOT, check=False)
    system = subprocess.run([own, "-m", "pytest", "-q", "-m", "system"], cwd=ROOT, check=False)
    return unit.returncode or system.returncode


def main() -> int:
    """Say for each version what became of it; 0 if all that are present pass."""
    results: dict[str, str] = {}
    for version in VERSIONS:
        python = interpreter(version)
        if python is None:
            results[version] = "not present"
            continue
        print(f"\n== Python {version}: {python}", flush=True)
        results[version] = "failed" if run(version, python) else "passed"
    print()
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return int("failed" in results.values() or "passed" not in results.values())


if __name__ == "__main__":
    sys.exit(main())
