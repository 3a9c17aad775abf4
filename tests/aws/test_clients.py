"""Which client a poller takes, and that it says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.aws.conftest import ask, queue_settings
from tests.aws.listener import Listener, answering
from worker.aws.clients import Client
from worker.aws.session import Unusable
from worker.policy.requests import Receive

URL = "http://localhost/1/q"


def test_the_lean_one_where_nothing_needs_boto3(aws: str, clients: Callable[..., Client]) -> None:
    made = clients(queue_settings(url=URL))
    assert (made.name, made.why) == ("lean", "nothing needs boto3")


@pytest.mark.parametrize("name", ["lean", "boto3"])
def test_the_config_may_say_which(aws: str, clients: Callable[..., Client], name: str) -> None:
    made = clients(queue_settings(url=URL, client=name))
    assert (made.name, made.why) == (name, "the config says so")


def test_behind_a_proxy_it_is_boto3(aws: str, clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """And the requests go through the proxy."""
    with Listener(answering) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        made = clients(queue_settings(url=URL), endpoint_url="http://localhost:9")
        assert made.name == "boto3"
        assert "a proxy is set" in made.why
        (got,) = ask(made.sqs(URL), Receive(1, 0, 30))
        assert got.failure is None
        assert proxy.connections == 1


def test_what_the_config_asks_for_and_cannot_be_is_an_error(
    aws: str, clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never becomes the other one silently."""
    monkeypatch.setenv("http_proxy", "http://localhost:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(Unusable, match="a proxy"):
        clients(queue_settings(url=URL, client="lean"))
