"""Handler process: keys in memory: for tests, and where one process sees all messages. It forgets with its process."""

from __future__ import annotations

import threading

from worker.policy.idempotency import DONE, IN_PROGRESS, Record, Standing, Taken, free, marked, standing


class MemoryStore:
    """Of one process. Handlers of a pool are processes of their own: share a DynamoDBStore there.

    It keeps every key until that is asked for again after its end: nothing sweeps it.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self._lock = threading.Lock()

    def begin(self, key: str, *, owner: str, now: float, until: float) -> Standing:
        """As in Store."""
        with self._lock:
            record = self.records.get(key)
            if record is not None and not free(record, now=now):
                return standing(record, owner=owner)
            self.records[key] = Record(state=IN_PROGRESS, owner=owner, until=until, expires=until)
            return Taken()

    def extend(self, key: str, *, owner: str, until: float) -> bool:
        """As in Store."""
        with self._lock:
            if not self._runs(key, owner):
                return False
            self.records[key] = Record(state=IN_PROGRESS, owner=owner, until=until, expires=until)
            return True

    def mark(self, key: str, *, owner: str, result: str | None, expires: float) -> bool:
        """As in Store."""
        with self._lock:
            if not self._runs(key, owner):
                return marked(self.records.get(key), owner=owner)
            self.records[key] = Record(state=DONE, owner=owner, result=result, expires=expires)
            return True

    def release(self, key: str, *, owner: str) -> None:
        """As in Store."""
        with self._lock:
            if self._runs(key, owner):
                del self.records[key]

    def is_marked(self, key: str, *, owner: str) -> bool:
        """As in Store."""
        with self._lock:
            return marked(self.records.get(key), owner=owner)

    def _runs(self, key: str, owner: str) -> bool:
        record = self.records.get(key)
        return record is not None and record.state == IN_PROGRESS and record.owner == owner
