"""The reference page."""

from __future__ import annotations

from pathlib import Path

from worker.config.queue_keys import QUEUE, RETRY
from worker.config.reference import page, summary
from worker.config.worker_keys import WORKER
from worker.settings import QueueSettings, RetrySettings, Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_says_what_the_schema_says() -> None:
    """docs/configuration.md is what `python -m worker.config.reference` writes."""
    assert PAGE.read_text() == page()


def test_every_key_fills_a_field_and_every_field_has_a_key() -> None:
    """The schema and the settings cannot drift apart; what is not a key of the file is named here."""
    made = {Settings: {"config", "paths", "queues"}, QueueSettings: {"name", "pause", "retry"}, RetrySettings: set()}
    only_keys = {Settings: {"allow_insecure_endpoint"}, QueueSettings: {"poll_interval"}, RetrySettings: set()}
    for keys, settings in ((WORKER, Settings), (QUEUE, QueueSettings), (RETRY, RetrySettings)):
        filled = {key.setting for key in keys} - only_keys[settings]
        assert filled == set(settings.__dataclass_fields__) - made[settings]


def test_every_key_is_in_the_summary() -> None:
    """`worker check --help` shows all keys."""
    for key in WORKER + QUEUE + RETRY:
        assert key.example in summary()
