"""Every process of a pool with a bug: puts the bug in. Python imports this before anything else."""

from __future__ import annotations

import os
from typing import Any


class _Patch:
    """As pytest's MonkeyPatch, and nothing is ever undone."""

    def setattr(self, owner: Any, name: str, value: Any) -> None:
        setattr(owner, name, value)


def _put(name: str) -> None:
    # Here, not above: a process without a bug imports nothing of it.
    from tests.simulation.bugs import BUGS

    (bug,) = (one for one in BUGS if one.name == name)
    bug.put(_Patch())  # type: ignore[arg-type]  # the part of MonkeyPatch that bugs use


if "CHAOS_MUTANT" in os.environ:
    _put(os.environ["CHAOS_MUTANT"])
