"""Every process of a pool under test: whoever pickles or unpickles dies. Python imports this before anything else.

Replaced where they are defined, before anybody can have taken a copy, in C and in Python. botocore and the standard
library may import pickle as they like; it is its use that trips. Python itself reads .pyc files by marshal: calls from
its import system pass, all others do not.
"""

from __future__ import annotations

import _pickle
import marshal
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_IMPORTERS = ("<frozen importlib._bootstrap_external>", "<frozen zipimport>")


def trip(*_arguments: object, **_options: object) -> NoReturn:
    """Says so, and ends the process as no handler of exceptions can prevent."""
    os.write(2, b"TRIPPED\n")
    os.abort()


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        if sys._getframe(1).f_code.co_filename not in _IMPORTERS:
            trip()
        return function(*arguments)

    return call


for module in (pickle, _pickle):
    for name in ("load", "loads", "dump", "dumps"):
        setattr(module, name, trip)
    for name in ("Unpickler", "Pickler"):
        # Still classes: multiprocessing inherits from them when it is imported.
        setattr(module, name, type(name, (getattr(module, name),), {"__init__": trip}))
for name in ("_load", "_loads", "_dump", "_dumps"):
    setattr(pickle, name, trip)
for name in ("_Unpickler", "_Pickler"):
    getattr(pickle, name).__init__ = trip
for name in ("load", "loads", "dump", "dumps"):
    setattr(marshal, name, _guarded(getattr(marshal, name)))

if folder := os.environ.get("TRIPWIRE"):
    Path(folder, str(os.getpid())).touch()
