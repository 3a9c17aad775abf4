"""Every process: starts moto's server as a child process: AWS beside SQS, for demonstrations and tests.

Its SQS is never used: worker/testing/sqs_server is stricter and faster. It needs `pip install 'worker[demo]'`.
"""

from __future__ import annotations

import urllib.request
from types import TracebackType
from typing import Self

from worker.testing.child_server import ChildServer

#: Seconds in which it must have forgotten everything.
_PATIENCE = 20.0


class AwsServicesProcess:
    """moto's server in a process of its own, on a port that the kernel chose; it dies with this process.

    ```python
    with AwsServicesProcess() as services:
        table = boto3.client("dynamodb", endpoint_url=services.url, region_name="us-east-1", ...)
    ```
    The account is that of the embedded SQS, 000000000000. All credentials are taken, everything is kept in memory.
    """

    def __init__(self) -> None:
        self._server = ChildServer("moto's server", "worker.testing.aws_services_server", arguments=())
        #: Where it answers, as `http://127.0.0.1:PORT`.
        self.url = ""

    def start(self) -> Self:
        """Starts the server and waits until it listens. Raises RuntimeError where it does not, or moto is missing."""
        self.url = self._server.start()
        return self

    def stop(self) -> None:
        """Ends the server; does nothing where it is not running."""
        self._server.stop()

    def reset(self) -> None:
        """Forgets every table, bucket, topic and zone."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")  # noqa: S310 - our own loopback URL
        with urllib.request.urlopen(request, timeout=_PATIENCE):  # noqa: S310 - as above
            return

    @property
    def pid(self) -> int:
        """The server's process id. Raises RuntimeError where it is not running."""
        return self._server.pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
