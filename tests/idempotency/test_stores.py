"""Test process: both stores keep the same promises: one owner at a time, and no mark of anybody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.idempotency.conftest import START, DynamoDB
from worker.idempotency import Busy, Done, MemoryStore, Store, Taken


def begin(store: Store, owner: str, *, now: float = START, key: str = "k") -> object:
    return store.begin(key, owner=owner, now=now, until=now + 10.0)


def test_a_key_that_nobody_has_is_taken_and_then_busy(store: Store) -> None:
    """The second to come learns whose it is, and until when."""
    assert begin(store, "a") == Taken()
    assert begin(store, "b", now=START + 1) == Busy("a", START + 10.0)
    assert begin(store, "b", key="another") == Taken()


def test_an_owner_that_asks_again_has_its_key(store: Store) -> None:
    """The answer to its first try was lost on the way."""
    assert begin(store, "a") == Taken()
    assert begin(store, "a", now=START + 1) == Taken()


def test_a_mark_is_found_with_its_result_until_it_expires(store: Store) -> None:
    """Expiry is judged by the reader: DynamoDB deletes late."""
    begin(store, "a")
    assert store.mark("k", owner="a", result='{"value":1}', expires=START + 100)
    assert begin(store, "b", now=START + 99) == Done('{"value":1}')
    assert begin(store, "b", now=START + 100) == Taken()
    assert store.is_marked("k", owner="a") is False


def test_a_mark_needs_no_result(store: Store) -> None:
    """Most functions return None."""
    begin(store, "a")
    assert store.mark("k", owner="a", result=None, expires=START + 100)
    assert begin(store, "b") == Done(None)
    assert store.is_marked("k", owner="a")
    assert not store.is_marked("k", owner="b")


def test_a_mark_can_be_repeated_by_its_owner_alone(store: Store) -> None:
    """A lost answer is no lost key."""
    begin(store, "a")
    assert store.mark("k", owner="a", result=None, expires=START + 100)
    assert store.mark("k", owner="a", result=None, expires=START + 100)
    assert not store.mark("k", owner="b", result=None, expires=START + 100)


def test_a_lease_that_is_over_is_taken_over_and_its_loser_cannot_mark(store: Store) -> None:
    """Nor extend, nor release what is the winner's."""
    begin(store, "loser")
    assert begin(store, "winner", now=START + 10) == Taken()
    assert not store.mark("k", owner="loser", result=None, expires=START + 100)
    assert not store.extend("k", owner="loser", until=START + 100)
    store.release("k", owner="loser")
    assert begin(store, "c", now=START + 11) == Busy("winner", START + 20.0)
    assert store.mark("k", owner="winner", result=None, expires=START + 100)


def test_nobody_marks_what_was_never_taken(store: Store) -> None:
    """A released key is nobody's either."""
    assert not store.mark("k", owner="a", result=None, expires=START + 100)
    begin(store, "a")
    store.release("k", owner="a")
    assert not store.mark("k", owner="a", result=None, expires=START + 100)
    assert not store.is_marked("k", owner="a")


def test_an_extended_lease_ends_later(store: Store) -> None:
    """By its owner."""
    begin(store, "a")
    assert store.extend("k", owner="a", until=START + 50)
    assert begin(store, "b", now=START + 49) == Busy("a", START + 50)
    assert begin(store, "b", now=START + 50) == Taken()


def test_a_released_key_is_free_at_once_and_a_done_one_is_not_released(store: Store) -> None:
    """Release undoes what is in progress, and nothing else."""
    begin(store, "a")
    store.release("k", owner="a")
    assert begin(store, "b") == Taken()
    store.mark("k", owner="b", result=None, expires=START + 100)
    store.release("k", owner="b")
    assert begin(store, "c") == Done(None)


def test_of_many_who_ask_at_once_one_gets_the_key() -> None:
    """Threads of one process share a MemoryStore. (Of DynamoDB the condition decides; moto's has threads, no locks.)"""
    store = MemoryStore()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: begin(store, f"o{number}"), range(200)))
    assert found.count(Taken()) == 1


@pytest.mark.parametrize("owner", ["a", "b"])
def test_times_between_two_milliseconds_mean_the_same_in_dynamodb(dynamodb: DynamoDB, owner: str) -> None:
    """A lease is never over for the condition and running for the record."""
    assert dynamodb.store.begin("k", owner="a", now=START, until=START + 1.0004) == Taken()
    found = dynamodb.store.begin("k", owner=owner, now=START + 1.0003, until=START + 20)
    assert found == Taken()
