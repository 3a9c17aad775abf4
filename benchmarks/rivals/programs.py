"""Rival process: what the programs of rivals share: reading the command line, and printing bodies in their own form."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from benchmarks.work import payload

QUEUE_URL = os.environ.get("BENCH_QUEUE_URL", "http://127.0.0.1/000000000000/none")
QUEUE = QUEUE_URL.rpartition("/")[2]


def main(wrap: Callable[[str], str], run: Callable[[], None] | None = None) -> None:
    """`bodies FIRST COUNT SIZE` prints wrapped bodies, one JSON string a line; anything else runs.

    The payload is shortened by what the form adds, so that bodies have the size that was asked for; forms that encode
    it anew are larger than they have to be by a third, which is their own affair.
    """
    if sys.argv[1:2] != ["bodies"]:
        if run is None:
            raise SystemExit("started by the library's own command")
        run()
        return
    first, count, size = map(int, sys.argv[2:])
    around = len(wrap(payload(first, 100))) - 100
    for number in range(first, first + count):
        print(json.dumps(wrap(payload(number, max(40, size - around)))))
