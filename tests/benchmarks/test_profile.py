"""Stacks of a profiler, as shares."""

from __future__ import annotations

import pytest

from benchmarks.profile import area, shares

STACKS = [
    "main (/x/worker/poller/__main__.py:3);send (/x/site-packages/botocore/httpsession.py:40) 6",
    "main (/x/worker/poller/__main__.py:3);send (/x/site-packages/botocore/httpsession.py:41) 2",
    "main (/x/worker/poller/__main__.py:3);wait (/x/threading.py:3) 1000",
    "main (/x/worker/poller/__main__.py:3);step (/x/worker/poller/loop.py:9) 2",
]


def test_the_innermost_frame_has_the_time() -> None:
    """Lines of one function count together; waits do not count; shares add up to the whole."""
    assert shares(STACKS, by_area=True) == [("botocore and boto3", 0.8), ("worker/poller", 0.2)]
    (first, share), _ = shares(STACKS, by_area=False)
    assert (first, share) == ("send (botocore/httpsession.py)", 0.8)


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        ("sign (/v/site-packages/botocore/auth.py:1)", "botocore and boto3"),
        ("parse (/usr/lib/python3.11/email/feedparser.py:1)", "HTTP: urllib3, http, email, ssl"),
        ("read (/x/worker/channel.py:1)", "streams, slots, leases, frames"),
        ("due (/x/worker/policy/beats.py:1)", "worker/policy"),
        ("wait (/usr/lib/python3.11/threading.py:1)", "Python's own"),
    ],
)
def test_a_frame_belongs_to_an_area(frame: str, name: str) -> None:
    """By the path of its file."""
    assert area(frame) == name
