"""Test process: settings reach a child as the supervisor has them; see worker/settings.py."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.settings import CloudWatchSettings, QueueSettings, RetrySettings, Settings, from_json, to_json

seconds = st.floats(0, 1e6)
retries = st.builds(RetrySettings, first=seconds, most=seconds, attempts=st.integers(0, 1000))
queues = st.builds(
    QueueSettings,
    name=st.text(),
    handler=st.text(),
    url=st.text(),
    middleware=st.lists(st.text(), max_size=3).map(tuple),
    handlers=st.integers(1, 99),
    pause=seconds,
    visibility_timeout=seconds,
    role_arn=st.text(),
    retry=retries,
    cloudwatch=st.builds(CloudWatchSettings, namespace=st.text(), period=seconds, log_deletes_as=st.text()),
)
pools = st.builds(
    Settings,
    name=st.text(),
    queues=st.lists(queues, max_size=3).map(tuple),
    drain_timeout=seconds,
    control_socket=st.text(),
    log_level=st.sampled_from(["debug", "info", "warning", "error"]),
    paths=st.lists(st.text(), max_size=3).map(tuple),
)


@given(pools)
def test_settings_round_trip_through_a_frame(settings: Settings) -> None:
    """A child rebuilds the very settings, types included, from the JSON of its SETUP frame."""
    assert from_json(orjson.loads(orjson.dumps(to_json(settings)))) == settings


def test_a_queue_is_found_by_its_table_name() -> None:
    """The table's name is the key; an unknown one is a KeyError that names it."""
    orders, stock = (QueueSettings(name=name, handler="shop:handle", url="http://q") for name in ("orders", "stock"))
    settings = Settings(name="shop", queues=(orders, stock))
    assert settings.queue("stock") is stock
    with pytest.raises(KeyError, match="returns"):
        settings.queue("returns")


def test_a_queue_has_a_handler_per_core_and_one_poller_unless_told() -> None:
    """The defaults are those of the documentation: 60 s hidden, 10 s wait, 300 s handler deadline, one spare."""
    queue = QueueSettings(name="orders", handler="shop:handle")
    assert queue.handlers >= 1
    assert (queue.pollers, queue.spares, queue.wait, queue.max_messages) == (1, 1, 10.0, 10)
    assert (queue.visibility_timeout, queue.handler_timeout) == (60.0, 300.0)
