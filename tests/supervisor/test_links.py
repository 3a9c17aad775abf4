"""Test process: the stream between a poller and a handler, and when our copies of its ends are closed."""

from __future__ import annotations

import os
import socket

import pytest

from tests.supervisor.histories import START, queue
from worker import platform
from worker.settings import Settings
from worker.supervisor.links import Link, Links
from worker.supervisor.tree import Child, QueueSet, Role

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

SETTINGS = Settings(name="shop", queues=(queue(),))
SET = QueueSet(uid=1, queue=queue(), settings=SETTINGS, generation=1, started_at=START, wanted=1)
POLLER = Child(uid=2, role=Role.POLLER, queue_set=SET, number=0, started_at=START)
HANDLER = Child(uid=3, role=Role.HANDLER, queue_set=SET, number=0, started_at=START)


def made() -> tuple[Links, Link]:
    links, slot = Links(), platform.anonymous_file("slot", 8)
    link = links.make(1, poller=POLLER, handler=HANDLER, slot=slot)
    os.close(slot)
    return links, link


def is_open(end: socket.socket) -> bool:
    return end.fileno() >= 0


def test_copies_stay_until_both_have_said_attached():
    links, link = made()
    links.attached(1, HANDLER)
    assert (is_open(link.poller_end), is_open(link.handler_end)) == (True, True)
    links.attached(1, POLLER)
    assert (is_open(link.poller_end), is_open(link.handler_end)) == (False, False)
    assert len(links) == 0


def test_the_end_of_a_dead_handler_is_closed_at_once_and_the_poller_still_gets_its_own():
    links, link = made()
    links.dead(HANDLER)
    assert (is_open(link.poller_end), is_open(link.handler_end)) == (True, False)
    assert link.poller_end.recv(1) == b""
    assert os.fstat(link.slot).st_size == 8
    links.attached(1, POLLER)
    assert not is_open(link.poller_end)


def test_the_end_of_a_dead_poller_is_closed_at_once():
    links, link = made()
    links.dead(POLLER)
    assert (is_open(link.poller_end), is_open(link.handler_end)) == (False, True)
    links.attached(1, HANDLER)
    assert len(links) == 0


def test_nothing_is_kept_when_both_are_dead():
    links, _ = made()
    links.dead(HANDLER)
    links.dead(POLLER)
    assert len(links) == 0


def test_a_word_about_a_link_of_others_or_of_the_past_changes_nothing():
    links, link = made()
    stranger = Child(uid=9, role=Role.HANDLER, queue_set=SET, number=1, started_at=START)
    for _ in range(3):
        links.attached(1, stranger)
        links.attached(77, POLLER)
        links.attached(1, POLLER)
    assert is_open(link.poller_end)
    links.close()
    assert len(links) == 0


def test_without_descriptors_nothing_is_left_half_made(monkeypatch: pytest.MonkeyPatch):
    def none_left() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("worker.supervisor.links.pair", none_left)
    slot = platform.anonymous_file("slot", 8)
    with pytest.raises(OSError, match="Too many"):
        Links().make(1, poller=POLLER, handler=HANDLER, slot=slot)
    os.close(slot)


@pytest.mark.parametrize("first", [POLLER, HANDLER])
def test_a_link_that_one_side_has_can_be_closed(first: Child) -> None:
    """Each copy is closed once: a second close may hit a descriptor that is somebody else's by then."""
    links, link = made()
    links.attached(1, first)
    links.close()
    assert (is_open(link.poller_end), is_open(link.handler_end), len(links)) == (False, False, 0)
