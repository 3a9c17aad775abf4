"""The reference page."""

from __future__ import annotations

from pathlib import Path

from worker.config.cloudwatch_keys import CLOUDWATCH
from worker.config.queue_keys import BATCH, QUEUE, RECYCLE, RETRY
from worker.config.reference import page, summary
from worker.config.worker_keys import WORKER
from worker.settings import BatchSettings, CloudWatchSettings, QueueSettings, RecycleSettings, RetrySettings, Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_says_what_the_schema_says() -> None:
    """docs/configuration.md is what `python -m worker.config.reference` writes."""
    assert PAGE.read_text() == page()


def test_every_key_fills_a_field_and_every_field_has_a_key() -> None:
    """The schema and the settings cannot drift apart; what is not a key of the file is named here."""
    made = {
        Settings: {"config", "paths", "queues", "left_out", "until_empty"},
        QueueSettings: {"name", "pause", "retry", "recycle", "batch", "cloudwatch"},
    }
    only_keys = {QueueSettings: {"poll_interval"}}
    tables = ((WORKER, Settings), (QUEUE, QueueSettings), (RETRY, RetrySettings), (RECYCLE, RecycleSettings))
    tables += ((BATCH, BatchSettings), (CLOUDWATCH, CloudWatchSettings))
    for keys, settings in tables:
        filled = {key.setting for key in keys} - only_keys.get(settings, set())
        assert filled == set(settings.__dataclass_fields__) - made.get(settings, set())


def test_every_key_is_in_the_summary() -> None:
    """`worker check --help` shows all keys."""
    for key in WORKER + QUEUE + RETRY + RECYCLE + BATCH:
        assert key.example in summary()
