"""Chaos process: looks at a run while it goes on: effects, messages that are done, the load of the cores."""

from __future__ import annotations

from pathlib import Path

from chaos import targets
from chaos.logs import stamp
from chaos.recovery import Load

#: Seconds between two looks.
_LOOK = 0.1


class Watch:
    """Reads what has been added to the effects, and samples the load of the cores."""

    def __init__(self, effects: Path) -> None:
        self.loads: list[Load] = []
        self.effects = 0
        self.started: set[int] = set()  #: ids that are expected
        self.ended: set[int] = set()
        self._since = 0
        self._path = effects
        self._at = 0
        self._cores: tuple[int, int] | None = None
        self._next = 0.0

    def expect(self, since: int) -> None:
        """From now on note which messages start and end, of those with ids from `since` on."""
        self._since = since
        self.started.clear()
        self.ended.clear()

    def look(self, now: float) -> bool:
        """Look, if it is time again (`now` in seconds); whether it was."""
        if now < self._next:
            return False
        self._next = now + _LOOK
        busy, self._cores = targets.busy_share(self._cores)
        self.loads.append(Load(stamp(), busy))
        self._read()
        return True

    def _read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            added = file.read()
        added = added[: added.rfind(b"\n") + 1]
        self._at += len(added)
        self.effects += added.count(b"end ")
        if not self._since:
            return
        for line in added.splitlines():
            step, number, _ = line.split(b" ", 2)
            if int(number) >= self._since:
                (self.ended if step == b"end" else self.started).add(int(number))
