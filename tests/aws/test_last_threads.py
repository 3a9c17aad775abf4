"""Test process: an interpreter that ends takes no new threads (Python 3.12 on), and a producer still sends then."""

from __future__ import annotations

import threading

import botocore.session
import pytest

from worker.aws.addresses import Addresses
from worker.aws.refreshing import Refreshing
from worker.aws.signing import Credentials


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the interpreter says it then."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("no_threads")
def test_addresses_are_looked_up_on_the_spot() -> None:
    """And the one who asked is woken, as by the thread."""
    woken: list[str] = []
    addresses = Addresses("localhost", 80, wake=lambda: woken.append("woken"))
    assert addresses.current() is None
    assert woken == ["woken"]
    assert addresses.current()


@pytest.mark.usefixtures("no_threads")
def test_credentials_are_found_on_the_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    woken: list[str] = []
    refreshing = Refreshing(botocore.session.get_session(), wake=lambda: woken.append("woken"))
    assert isinstance(refreshing.current(), Credentials)
    assert woken == ["woken"]
