"""Test process: the SQS server's model, as fixtures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.testing.sqs_server.model import Sqs
from worker.testing.sqs_server.broker import Options


@pytest.fixture
def sqs() -> Sqs:
    """A server's model with AWS's behaviour."""
    return Sqs()


@pytest.fixture
def make_sqs() -> Callable[[Options], Sqs]:
    """A server's model with other options."""
    return Sqs
