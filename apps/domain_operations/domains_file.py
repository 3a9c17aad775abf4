"""Handler process: domains.json in S3, which many processes write: each write names the version that it was made from.

S3 refuses a write whose version is not the newest any more; the file is then read again. So no writer undoes another.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from apps.domain_operations.clients import code
from apps.domain_operations.rules import Row, backoff

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "domains.json"
#: Writes that may be made in vain before the message waits in its queue instead.
TRIES = 12
_FIRST, _MOST = 0.1, 3.0  #: seconds, the longest pauses
#: What S3 answers to a write that came too late: the version is another; the file has gone; another write is under way.
_REFUSED = {"PreconditionFailed", "NoSuchKey", "ConditionalRequestConflict"}


class Contended(Exception):
    """Others wrote the file in between each time."""


class BrokenFile(ValueError):
    """The file is not what this application writes. It was left as it is."""


def entry(row: Row) -> dict[str, str | None]:
    """What the file says of a domain."""
    return {"status": row.status, "tenant_id": row.tenant_id, "hosted_zone_id": row.hosted_zone_id}


def changed(document: Any, row: Row) -> dict[str, Any] | None:
    """The document with the row's entry; None if it says the same already. What else it holds stays. BrokenFile."""
    if not isinstance(document, dict) or not isinstance(document.get("domains", {}), dict):
        raise BrokenFile('expected {"domains": {...}}')
    domains = document.get("domains", {})
    if domains.get(row.domain) == entry(row):
        return None
    return {**document, "domains": dict(sorted({**domains, row.domain: entry(row)}.items()))}


class DomainsFile:
    """The file in one bucket."""

    def __init__(self, client: S3Client, bucket: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._bucket = bucket
        self._sleep = sleep

    def put(self, row: Row) -> bool:
        """Make the file say what the row says; False if it did already. Raises Contended, BrokenFile, ClientError.

        It is done when a read finds it there. S3 keeps what it has taken, but moto checks the version and writes in two
        steps: of two writers that meet between them one is lost, and finds out here.
        """
        wrote = False
        for tries in range(1, TRIES + 1):
            document, version = self._read()
            new = changed(document, row)
            if new is None:
                return wrote
            if self._write(orjson.dumps(new, option=orjson.OPT_INDENT_2), version):
                wrote = True
            else:
                chance = random.random()  # noqa: S311 - spreads writers over time, hides nothing
                self._sleep(backoff(tries, first=_FIRST, most=_MOST, chance=chance))
        raise Contended(f"s3://{self._bucket}/{KEY}: others wrote it in between, {TRIES} times")

    def says(self, row: Row) -> bool:
        """True if the file says what the row says. Raises BrokenFile, ClientError."""
        document, _ = self._read()
        return changed(document, row) is None

    def _read(self) -> tuple[Any, str]:
        """The document and its version (ETag); an empty one and "" if there is no file."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=KEY)
        except ClientError as error:
            if code(error) == "NoSuchKey":
                return {"domains": {}}, ""
            raise
        try:
            return orjson.loads(answer["Body"].read()), answer["ETag"]
        except orjson.JSONDecodeError as error:
            raise BrokenFile(f"s3://{self._bucket}/{KEY} is not JSON: {error.msg}; repair it") from None

    def _write(self, body: bytes, version: str) -> bool:
        """False if the version is not the newest any more."""
        condition: Any = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=KEY, Body=body, ContentType="application/json", **condition
            )
        except ClientError as error:
            if code(error) in _REFUSED:
                return False
            raise
        return True
