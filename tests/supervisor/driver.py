"""Supervisor process of the tests: the real one, with stand-ins as children and its settings in a JSON file."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from worker.settings import Settings, from_json
from worker.supervisor import run
from worker.supervisor.tree import Role

STAND_IN = Path(__file__).with_name("stand_in.py")


def command(role: Role, fd: int) -> list[str]:
    return [sys.executable, str(STAND_IN), role, str(fd)]


def load() -> Settings:
    return from_json(orjson.loads(Path(sys.argv[1]).read_bytes()))


if __name__ == "__main__":
    sys.exit(run(load(), reload=load, command=command))
