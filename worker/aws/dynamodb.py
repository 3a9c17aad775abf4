"""Handler process: a DynamoDB client for code that runs beside user code: short timeouts, made in each process anew.

botocore is imported at the first call, and not before: a handler whose function asks for no table does not pay for it,
and what a template process has preloaded must not share a connection.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from worker.policy.idempotency import StoreFailed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: Seconds until a connection, or an answer, counts as failed; and tries of a call, throttled ones too.
_CONNECT, _READ, _TRIES = 2.0, 3.0, 3
#: Connections at once, of one process: as many as a handler may have threads.
_CONNECTIONS = 256
#: botocore shows what it finds wrong, and that may be a body.
_SHOWN_VALUE = re.compile(r"value: .*?, type: ", re.DOTALL)


class NotMet(Exception):
    """The condition of a write was not met; `item` is what is there, if the write asked for it."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        super().__init__("condition not met")
        self.item = item


class Cancelled(Exception):
    """A transaction was cancelled; `reasons` has one for each of its items."""

    def __init__(self, reasons: list[dict[str, Any]]) -> None:
        super().__init__("transaction cancelled")
        self.reasons = reasons


class Table:
    """Calls on one table. It may be shared by threads, and be there before a fork."""

    def __init__(self, name: str, make: Callable[[], DynamoDBClient]) -> None:
        self.name = name
        self._make = make
        self._made: tuple[int, DynamoDBClient] | None = None
        self._making = threading.Lock()

    def ask(self, operation: str, **asked: Any) -> dict[str, Any]:
        """One call, as botocore names it.

        Raises NotMet, Cancelled, StoreFailed, and ValueError for what botocore would not send.
        """
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        try:
            answer: dict[str, Any] = getattr(self._client(), operation)(**asked)
        except ClientError as error:
            raise self._meaning(operation, error.response) from error
        except ParamValidationError as error:
            raise ValueError(self.text(operation, _SHOWN_VALUE.sub("type: ", str(error)))) from None
        except BotoCoreError as error:
            raise StoreFailed(self.text(operation, f"{type(error).__name__}: {error}")) from error
        return answer

    def text(self, operation: str, why: str) -> str:
        """A complaint."""
        return f"table {self.name!r} of idempotency keys, {operation}: {why}"

    def _meaning(self, operation: str, response: Mapping[str, Any]) -> Exception:
        details = response.get("Error", {})
        code = str(details.get("Code", ""))
        if code == "ConditionalCheckFailedException":
            return NotMet(response.get("Item", {}))
        if code == "TransactionCanceledException" and response.get("CancellationReasons"):
            return Cancelled(response["CancellationReasons"])
        remedy = " (create it as docs/idempotency.md shows)" if code == "ResourceNotFoundException" else ""
        return StoreFailed(self.text(operation, f"{code}: {details.get('Message', '')}{remedy}"))

    def _client(self) -> DynamoDBClient:
        """This process's own."""
        made = self._made
        if made is None or made[0] != os.getpid():
            with self._making:  # threads share one client: to make one takes a tenth of a second
                made = self._made
                if made is None or made[0] != os.getpid():
                    made = self._made = (os.getpid(), self._make())
        return made[1]


def make_client(region: str | None, endpoint_url: str | None) -> DynamoDBClient:
    """With boto3's own settings of the environment where these say nothing."""
    import botocore.session
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        retries={"total_max_attempts": _TRIES, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        user_agent_extra="worker",
    )
    client: Any = botocore.session.get_session().create_client(
        "dynamodb", region_name=region, endpoint_url=endpoint_url, config=config
    )
    return client  # type: ignore[no-any-return]  # botocore has no types
