"""Queues of a config as `worker dev` makes them; numbers for people; the environment of embedded runs."""

from __future__ import annotations

from typing import Any

import pytest

from worker.cli.embedded import environment
from worker.cli.local_queues import dead_letter_name, local_queues, overrides
from worker.cli.quantities import rate, size, span
from worker.settings import QueueSettings, Settings


def settings(**queue: Any) -> Settings:
    return Settings(name="x", queues=(QueueSettings(name="orders", handler="m:f", **queue),))


@pytest.mark.parametrize(
    ("given", "name", "dead_letter"),
    [
        ({"url": "https://sqs.eu-west-1.amazonaws.com/123456789012/o-1"}, "o-1", "o-1-dlq"),
        ({"url": "https://h/1/o.fifo"}, "o.fifo", "o-dlq.fifo"),
        ({"queue_name": "o"}, "o", "o-dlq"),
        ({"ssm": "/shop-dev/sqs/orders-url"}, "orders-url", "orders-url-dlq"),
        ({"ssm": "plain"}, "plain", "plain-dlq"),
        ({"queue_name": "o", "dead_letter": "dead"}, "o", "dead"),
        ({"queue_name": "o", "dead_letter": "https://h/1/dead"}, "o", "dead"),
        ({"queue_name": "o", "dead_letter": "arn:aws:sqs:eu-west-1:123456789012:dead"}, "o", "dead"),
    ],
)
def test_local_names_are_the_last_parts(given: dict[str, str], name: str, dead_letter: str) -> None:
    """A queue keeps its name, FIFO included, however the config says it; so does its dead-letter queue."""
    (queue,) = local_queues(settings(**given))
    assert (queue.table, queue.name, queue.dead_letter) == ("orders", name, dead_letter)


def test_a_dead_letter_queue_of_the_longest_name_still_has_a_name() -> None:
    """80 characters are the limit, suffixes included."""
    assert dead_letter_name("x" * 80) == "x" * 76 + "-dlq"
    assert len(dead_letter_name("x" * 75 + ".fifo")) == 80


def test_the_pool_is_led_to_the_local_queues() -> None:
    """URL and role are replaced always, the dead-letter queue if the config names one."""
    queues = local_queues(settings(ssm="/o", role_arn="arn:..."))
    sets = overrides(queues, {"o": "http://l/0/o", "o-dlq": "http://l/0/o-dlq"}, endpoint="http://l")
    assert sets == ["worker.endpoint_url=http://l", "queues.orders.url=http://l/0/o", "queues.orders.role_arn="]
    queues = local_queues(settings(queue_name="o", dead_letter="arn:aws:sqs:r:1:d"))
    sets = overrides(queues, {"o": "http://l/0/o", "d": "http://l/0/d"}, endpoint="http://l")
    assert sets[-1] == "queues.orders.dead_letter=http://l/0/d"


def test_an_embedded_run_cannot_reach_an_account() -> None:
    """Profiles, roles and tokens are dropped, credentials belong to nobody, other stand-ins stay."""
    mine = {"AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "t", "AWS_ACCESS_KEY_ID": "real", "HOME": "/h"}
    made = environment("http://l:1", mine | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"})
    assert "AWS_PROFILE" not in made
    assert "AWS_SESSION_TOKEN" not in made
    assert "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" not in made
    assert made["AWS_ACCESS_KEY_ID"] == "worker"
    assert made["AWS_ENDPOINT_URL_SQS"] == made["AWS_ENDPOINT_URL"] == "http://l:1"
    assert made["AWS_DEFAULT_REGION"] == "us-east-1"
    assert made["HOME"] == "/h"
    made = environment("http://l:1", {"AWS_ENDPOINT_URL": "http://localhost:5000", "AWS_DEFAULT_REGION": "eu-west-1"})
    assert made["AWS_ENDPOINT_URL"] == "http://localhost:5000"
    assert made["AWS_ENDPOINT_URL_SQS"] == "http://l:1"
    assert made["AWS_DEFAULT_REGION"] == "eu-west-1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (7265, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_spans_have_two_units_at_most(seconds: float, text: str) -> None:
    """A span is read at a glance."""
    assert span(seconds) == text


def test_sizes_and_rates_are_short() -> None:
    """Bytes in binary units, rates with a decimal where it matters."""
    assert [size(n) for n in (0, 1023, 2048, 5 * 1024**2, 3 * 1024**3)] == [
        "0 B",
        "1023 B",
        "2 KiB",
        "5.0 MiB",
        "3.0 GiB",
    ]
    assert [rate(n) for n in (0, 0.25, 9.9, 10, 1234.5)] == ["0/s", "0.2/s", "9.9/s", "10/s", "1,234/s"]
