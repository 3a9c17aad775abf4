"""Handler process: what a store of keys has to do, so that another one can be written for another database.

All of it blocks, and is called by several threads at once. Every write is conditional and decided by the database: two
processes that ask in the same moment get different answers. Times are seconds since 1970, given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from worker.policy.idempotency import Standing


class Store(Protocol):
    """Raises StoreFailed, wherever it could not find out or do what it was asked for."""

    def begin(self, key: str, *, owner: str, now: float, until: float) -> Standing:
        """Write in-progress(owner, until) if the key is absent, its lease over or its result expired: Taken.

        Else Busy or Done, as it is. One of `owner` itself is Taken: the answer to an earlier try was lost.
        """

    def extend(self, key: str, *, owner: str, until: float) -> bool:
        """Move the end of the lease, if it is still in progress and of `owner`; else False."""

    def mark(self, key: str, *, owner: str, result: str | None, expires: float) -> bool:
        """Write done(result, expires), if it is in progress and of `owner`, or was marked so by it; else False."""

    def release(self, key: str, *, owner: str) -> None:
        """Delete the record, if it is in progress and of `owner`; else nothing."""

    def is_marked(self, key: str, *, owner: str) -> bool:
        """Whether it is done by `owner`; reads what was written last."""


@runtime_checkable
class TransactionalStore(Store, Protocol):
    """A store whose mark can be written together with a function's effects, or not at all."""

    def marking_item(self, key: str, *, owner: str, result: str | None, expires: float) -> Mapping[str, Any]:
        """The mark, as one item of a transaction that the function writes itself."""

    def commit(
        self, items: Sequence[Mapping[str, Any]], *, key: str, owner: str, result: str | None, expires: float
    ) -> None:
        """Write the function's items and the mark in one transaction.

        Raises KeyLost if the key is not `owner`'s any more, TransactionRefused if an item's own condition was not met.
        """
