"""Handler process: what a handler function may do with its key: write its effects and the mark in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from worker.idempotency.results import encode
from worker.idempotency.store import Store, TransactionalStore
from worker.policy.idempotency import KeyLost, TransactionRefused

__all__ = ["Claim", "NotCommitted", "Use"]


class NotCommitted(Exception):
    """The function took the marking item and returned, but it was never written: neither were the effects beside it."""


class Use(Enum):
    """What a function has made of its claim."""

    NOTHING = "nothing"  #: the decorator marks, when the function has returned
    COMMITTED = "committed"  #: effects and mark are written
    HANDED_OUT = "handed out"  #: the function writes the mark itself; whether it did is looked up


class Claim:
    """One attempt's right to run for its key. A handler function gets it by asking: `def f(message, claim: Claim)`.

    With it the effect and the mark become one write, after which no death of a process and no second delivery can
    repeat the effect, nor lose it. Only one transaction can carry the mark, so it has to hold all effects.
    """

    def __init__(self, store: Store, *, key: str, owner: str, expires: Callable[[], float]) -> None:
        self.key = key  #: as the store has it, behind the function's scope
        self.owner = owner  #: names this attempt, for all time
        self.use = Use.NOTHING
        self._store = store
        self._expires = expires

    def commit(self, items: Sequence[Mapping[str, Any]], *, result: object = None) -> None:
        """Write all `items` and the mark, or nothing: at most 99 items as TransactWriteItems takes them.

        `result` is what the function will return, and its duplicates then return. It blocks: in an async def,
        `await asyncio.to_thread(claim.commit, items)`.
        Raises KeyLost if somebody else has the key by now, TransactionRefused if a condition of an item was not met
        (the claim can then be used again), StoreFailed (it may have been written or not: let it pass, the retry finds
        out), ResultNotStorable, and RuntimeError if the claim was used before.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        """
        store = self._transactional()
        encoded = encode(result)
        self.use = Use.HANDED_OUT  # if no answer comes it is looked up, even where the function swallows the error
        try:
            store.commit(items, key=self.key, owner=self.owner, result=encoded, expires=self._expires())
        except (KeyLost, TransactionRefused, ValueError):
            self.use = Use.NOTHING  # nothing was written
            raise
        self.use = Use.COMMITTED

    def marking_item(self, *, result: object = None) -> Mapping[str, Any]:
        """The mark as one item of a transaction that you write yourself, for instance by an async client.

        Whether it was written is looked up when the function has returned: if not, that is NotCommitted, a retry.
        """
        store = self._transactional()
        item = store.marking_item(self.key, owner=self.owner, result=encode(result), expires=self._expires())
        self.use = Use.HANDED_OUT
        return item

    def _transactional(self) -> TransactionalStore:
        if self.use is not Use.NOTHING:
            raise RuntimeError(f"this claim was {self.use.value} before: one transaction has to hold all effects")
        if not isinstance(self._store, TransactionalStore):  # the decorator has refused it before
            raise TypeError(f"a {type(self._store).__name__} has no transactions: use a DynamoDBStore")
        return self._store
