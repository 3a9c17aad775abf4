"""Test process: the handler functions as the pool runs them, and their config; see apps/message_status."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from worker.config import ConfigError, load
from worker.settings import Settings
from worker.testing.run_inline import Kind, run_inline

CONFIG = Path(__file__).parents[3] / "apps/message_status/worker.toml"
STATUS = {"snsMessageId": "m-1", "deliveryStatus": "SUCCESS", "providerResponse": None, "timestamp": 5}
EVENTS = "http://localhost:4566/000000000000/EventQueue"
URLS = {"STATUS_UPDATE_QUEUE_URL": "http://localhost:4566/000000000000/one", "DLQ_URL": "http://localhost:4566/0/two"}


def handlers(monkeypatch: pytest.MonkeyPatch, url: str) -> ModuleType:
    """The module as a handler process imports it, under this EVENT_QUEUE_URL."""
    monkeypatch.setenv("EVENT_QUEUE_URL", url)
    monkeypatch.delitem(sys.modules, "apps.message_status.handlers", raising=False)
    module = importlib.import_module("apps.message_status.handlers")
    monkeypatch.delitem(sys.modules, "apps.message_status.handlers")
    return module


@pytest.mark.parametrize(("function", "source"), [("status_update", "StatusUpdateQueue"), ("dead_letter", "DLQ")])
def test_a_status_is_forwarded_as_an_event(monkeypatch: pytest.MonkeyPatch, function: str, source: str) -> None:
    """Either function forwards to EVENT_QUEUE_URL, under the constant of its own queue."""
    outcome = run_inline(getattr(handlers(monkeypatch, EVENTS), function), STATUS)
    assert (outcome.kind, outcome.queue, outcome.group_id) == (Kind.FORWARD, EVENTS, None)
    seen = json.loads(outcome.body)
    assert (seen["messageId"], seen["response"], seen["sourceQueue"]) == ("m-1", None, source)
    assert seen["processedAt"].endswith("Z")


@pytest.mark.parametrize(("body", "why"), [("no JSON", "not JSON"), ({"snsMessageId": 1}, "missing fields: delivery")])
def test_what_is_no_status_is_retried_and_never_acked(monkeypatch: pytest.MonkeyPatch, body: object, why: str) -> None:
    """The retry way leads to the dead-letter queue; the reason travels along for the log."""
    module = handlers(monkeypatch, EVENTS)
    for function in (module.status_update, module.dead_letter):
        outcome = run_inline(function, body)
        assert outcome.kind is Kind.RETRY
        assert why in outcome.reason


@pytest.mark.parametrize(("sns_id", "group"), [("m-1", "m-1"), ("two words", None), (7, None)])
def test_a_fifo_queue_of_events_gets_a_group(
    monkeypatch: pytest.MonkeyPatch, sns_id: object, group: str | None
) -> None:
    """The SNS message is the group; where its id cannot be one, the source's own message id is."""
    module = handlers(monkeypatch, f"{EVENTS}.fifo")
    outcome = run_inline(module.status_update, STATUS | {"snsMessageId": sns_id})
    assert outcome.kind is Kind.FORWARD
    assert outcome.group_id == (group or "00000000-0000-4000-8000-000000000000")


def test_a_missing_target_is_named_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without EVENT_QUEUE_URL the handler process does not boot, and says which variable it lacks."""
    with pytest.raises(RuntimeError, match="EVENT_QUEUE_URL is not set"):
        handlers(monkeypatch, "")


@pytest.mark.parametrize("name", URLS)
def test_a_missing_source_is_named(name: str) -> None:
    """Each required variable of the config is named by the error that lacks it."""
    with pytest.raises(ConfigError, match=f"{name} is not set"):
        load(CONFIG, {other: url for other, url in URLS.items() if other != name})


def settings(**environment: str) -> Settings:
    return load(CONFIG, URLS | environment)


def test_the_config_has_two_sources_with_the_documented_defaults() -> None:
    """10 s wait, 10 messages, level info; both sources, each with its own handler function."""
    seen = settings()
    assert [(queue.name, queue.url, queue.handler) for queue in seen.queues] == [
        ("status-update", URLS["STATUS_UPDATE_QUEUE_URL"], "apps.message_status.handlers:status_update"),
        ("dlq", URLS["DLQ_URL"], "apps.message_status.handlers:dead_letter"),
    ]
    assert {(queue.wait, queue.pause, queue.max_messages) for queue in seen.queues} == {(10.0, 0.0, 10)}
    assert seen.log_level == "info"


@pytest.mark.parametrize(
    ("interval", "wait", "pause"), [("0", 0, 0), ("5", 5, 0), ("20", 20, 0), ("45", 20, 25), ("600", 20, 580)]
)
def test_poll_interval_is_the_wait_and_above_20_a_pause(interval: str, wait: float, pause: float) -> None:
    """SQS waits 20 s at most: what is longer is a pause after the poll."""
    for queue in settings(POLL_INTERVAL=interval).queues:
        assert (queue.wait, queue.pause) == (wait, pause)


def test_max_messages_and_log_level_follow_the_environment() -> None:
    """Both sources take MAX_MESSAGES; LOG_LEVEL is taken in any case."""
    seen = settings(MAX_MESSAGES="3", LOG_LEVEL="Warning")
    assert ({queue.max_messages for queue in seen.queues}, seen.log_level) == ({3}, "warning")


def test_queues_may_be_on_another_machine_where_that_is_allowed() -> None:
    """A neighbouring container speaks plain http: ALLOW_INSECURE_URLS=1."""
    elsewhere = {name: url.replace("localhost", "localstack") for name, url in URLS.items()}
    assert settings(**elsewhere, ALLOW_INSECURE_URLS="1").allow_insecure_endpoint
    assert not settings().allow_insecure_endpoint
