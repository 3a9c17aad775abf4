"""What follows from an error of SQS, or of the way to it."""

import pytest

from worker.policy.failures import classify


@pytest.mark.parametrize(
    ("code", "unknown"),
    [
        ("ReadTimeoutError", True),
        ("ConnectionClosedError", True),
        ("TooSlow", True),
        ("ResponseParserError", True),
        ("504", True),
        ("ServiceUnavailable", False),
        ("InternalFailure", False),
        ("EndpointConnectionError", False),
        ("ConnectTimeoutError", False),
        ("SSLError", False),
        ("RequestThrottled", False),
        ("ExpiredToken", False),
        ("AccessDenied", False),
    ],
)
def test_what_may_have_been_done_all_the_same(code: str, unknown: bool) -> None:
    """An answer that is lost says nothing; a refusal does, and what was never sent was never done."""
    assert classify((code,), "").unknown is unknown
