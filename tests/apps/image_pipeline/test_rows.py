"""Test process: which changes of a row are allowed, in a real table; see apps/image_pipeline/rows.py."""

from __future__ import annotations

from typing import Any

import pytest

from apps.image_pipeline import rows
from apps.image_pipeline.alerts import Letter
from apps.image_pipeline.rules import Request
from tests.apps.image_pipeline.conftest import TABLE, Part, World

EARLY, NOW, LATE = (f"2026-01-0{day}T00:00:00.000Z" for day in (1, 2, 3))
INFO = {"reason": "Message moved to DLQ", "timestamp": LATE, "receiveCount": 2}
#: Version v2, uploaded at NOW.
REQUEST = Request(image_id="i", user_id="u", bucket="b", key="k", version="v2", uploaded=NOW)
LETTER = Letter(image_id="i", user_id="u", version="v2", uploaded=NOW)

pytestmark = pytest.mark.usefixtures("part")


def mark_processing() -> str:
    return rows.mark_processing(TABLE, REQUEST, execution="arn", at=LATE)


def row(status: str | None, version: str | None, uploaded: str | None) -> dict[str, str]:
    known = {"imageId": "i", "userId": "u", "status": status, "objectVersion": version, "uploadTimestamp": uploaded}
    return {name: value for name, value in known.items() if value is not None}


def test_a_new_image_gets_a_row(world: World) -> None:
    """Key, status, the execution's ARN, when; and whose version it is."""
    assert mark_processing() == ""
    assert world.row("i") == row("processing", "v2", NOW) | {"stepFunctionsArn": "arn", "updatedAt": LATE}


@pytest.mark.parametrize(
    ("before", "allowed"),
    [
        (row("processing", "v2", NOW), True),
        (row("failed", "v2", NOW), False),
        (row("completed", "v2", NOW), False),
        (row("resizing", "v2", NOW), True),
        # Of an earlier version: a new one starts again, whatever became of the other.
        (row("processing", "v1", EARLY), True),
        (row("failed", "v1", EARLY), True),
        (row("completed", "v1", EARLY), True),
        (row("completed", "v1", NOW), True),
        (row("completed", "v1", None), True),
        # Of a later one: this message came late.
        (row("processing", "v3", LATE), False),
        (row("failed", "v3", LATE), False),
        (row("completed", "v3", LATE), False),
        # Of nobody knows which: another program's.
        (row("pending", None, None), True),
        (row(None, None, None), True),
        (row("completed", None, None), False),
        (row("failed", None, None), False),
    ],
)
def test_processing_is_written_over_what_is_not_done(world: World, before: dict[str, str], allowed: bool) -> None:
    """Never over failed or completed of the same version, nor over a later version's row; other attributes stay."""
    world.write(before | {"owner": "somebody"})
    left = mark_processing()
    if allowed:
        after = row("processing", "v2", NOW) | {"stepFunctionsArn": "arn", "updatedAt": LATE}
        assert (left, world.row("i")) == ("", after | {"owner": "somebody"})
    else:
        version = before.get("objectVersion", "unknown")
        assert left == f"it is {before['status']}, of objectVersion {version}"
        assert world.row("i") == before | {"owner": "somebody"}


def test_a_new_version_forgets_the_error_of_the_one_before(world: World) -> None:
    """errorInfo of a version that failed does not stand beside another's status."""
    before = Letter(image_id="i", user_id="u", version="v1", uploaded=EARLY)
    assert rows.mark_failed(TABLE, before, info=INFO, at=NOW) == ""
    assert world.row("i")["errorInfo"] == INFO
    assert mark_processing() == ""
    assert "errorInfo" not in world.row("i")


@pytest.mark.parametrize(
    ("before", "allowed"),
    [
        (None, True),
        (row("processing", "v2", NOW), True),
        (row("failed", "v2", NOW), True),
        # The execution ran to its end, whatever became of the message.
        (row("completed", "v2", NOW), False),
        (row("processing", "v1", EARLY), True),
        (row("completed", "v1", EARLY), True),
        (row("processing", "v3", LATE), False),
        (row("pending", None, None), True),
        (row(None, None, None), True),
    ],
)
def test_failed_is_written_where_the_letter_is_the_rows(
    world: World, before: dict[str, str] | None, allowed: bool
) -> None:
    """Not over completed of the same version, and not over a later version's row."""
    if before:
        world.write(before)
    left = rows.mark_failed(TABLE, LETTER, info=INFO, at=LATE)
    after: dict[str, Any] = row("failed", "v2", NOW) | {"errorInfo": INFO, "updatedAt": LATE}
    assert (bool(left), world.row("i")) == (not allowed, after if allowed else before)


@pytest.mark.parametrize(
    ("letter", "before", "allowed"),
    [
        (Letter(image_id="i", user_id="u"), None, True),
        (Letter(image_id="i", user_id="u"), row("processing", "v1", EARLY), True),
        (Letter(image_id="i", user_id="u"), row("completed", "v1", EARLY), False),
        (Letter(image_id="i", user_id="u", version="v2"), row("processing", "v2", NOW), True),
        (Letter(image_id="i", user_id="u", version="v2"), row("processing", "v1", EARLY), False),
    ],
)
def test_a_letter_that_tells_less_is_taken_for_less(
    world: World, letter: Letter, before: dict[str, str] | None, allowed: bool
) -> None:
    """Without a version it is the row's own; without a time it is not later than another version."""
    if before:
        world.write(before)
    assert (rows.mark_failed(TABLE, letter, info=INFO, at=LATE) == "") is allowed
    assert world.row("i").get("status") == ("failed" if allowed else before and before["status"])


def test_a_table_that_is_missing_is_no_condition(part: Part) -> None:
    """Only a failed condition is an answer; all else raises, which is a retry."""
    with pytest.raises(Exception, match="ResourceNotFound"):
        rows.mark_processing("no-such-table", REQUEST, execution="arn", at=LATE)
