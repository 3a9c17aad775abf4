"""Handler process: each image that an S3 event tells of becomes a request in SQS_QUEUE_URL. As a Lambda as well.

What is good in an event is sent, and confirmed, before what is bad in it is judged: one odd key must not keep the other
images of its event waiting for a person. The event is then rejected whole, so it may come again, from its dead-letter
queue, and send the good ones again; that is harmless, because the orchestrator starts one execution for each version of
an object.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from apps.image_pipeline import clients
from apps.image_pipeline.environment import need
from apps.image_pipeline.rules import BadUpload, request_of
from worker import Message, Producer, Reject
from worker.aws_lambda import entry_point
from worker.envelopes import S3Record, s3_records

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import HeadObjectRequestTypeDef

SQS_QUEUE_URL = need("SQS_QUEUE_URL", "the queue that requests are sent to")
if SQS_QUEUE_URL.endswith(".fifo"):
    raise RuntimeError("SQS_QUEUE_URL is a FIFO queue: requests have no order, so it has to be a standard one")
#: As in worker.toml: the queue may be plain http on another machine.
ALLOW_INSECURE = os.environ.get("ALLOW_INSECURE_URLS") == "1"
#: Seconds that a request may take to be sent, its retries included; handler_timeout in worker.toml is longer.
_PATIENCE = 20.0
#: Reasons that an error names: an event of many bad keys must not fill the log.
_TOLD = 3

_log = logging.getLogger(__name__)
_making = threading.Lock()


class _NoAnswer(Exception):
    """S3 does not answer: the rest of an event need not ask it."""


def handle(message: Message) -> None:
    """An S3 event, also in an SNS notification. s3:TestEvent has no records, and is acked."""
    _send(s3_records(message), message=message.id)


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Of an event source mapping of S3_EVENT_QUEUE_URL, with ReportBatchItemFailures; or called by S3 itself.

    `{"statusCode": 200, "body": '{"message", "processedCount"}'}`; processedCount counts images. Called through SQS,
    the answer has `batchItemFailures` too, and statusCode is 207 if there are any. Called by S3, a failed record
    raises: Lambda tries the event again, and then moves it to the function's dead-letter queue or destination.
    """
    if not _is_of_sqs(event):
        return _answer(_send(s3_records(event), message=None))
    sent = 0

    def counted(message: Message) -> None:
        nonlocal sent
        sent += _send(s3_records(message), message=message.id)

    failures = entry_point(counted)(event, context)["batchItemFailures"]
    return _answer(sent, failed=len(failures)) | {"batchItemFailures": failures}


def close() -> None:
    """Close the producer, if there is one; what it holds is sent first."""
    with _making:
        if _made.cache_info().currsize:
            _made().close()
            _made.cache_clear()


def _send(records: Sequence[S3Record], *, message: str | None) -> int:
    """Sends a request for each record, and waits until all are confirmed; how many they were. Raises Reject.

    `message` is the id of the message that they came in, for the log.
    """
    futures, bad, s3_answers = [], [], True
    for record in records:
        try:
            request_of(record, None)  # before S3 is asked for the metadata of what is no image
        except BadUpload as error:
            bad.append(str(error))
            continue
        metadata = None
        if s3_answers:  # else each record would wait out the timeouts, longer than a function may take
            try:
                metadata = _metadata(record, message=message)
            except _NoAnswer:
                s3_answers = False
        body, attributes = request_of(record, metadata)
        futures.append(_producer().send(body, attributes=attributes))
    for future in futures:
        future.result()  # not sent: raises, which is a retry of the event
    if bad:
        raise Reject(_reason(bad, of=len(records)))
    return len(futures)


def _reason(bad: Sequence[str], *, of: int) -> str:
    if of == 1:
        return bad[0]
    more = f"; and {len(bad) - _TOLD} more" if len(bad) > _TOLD else ""
    return f"{len(bad)} of {of} records are no uploaded images: {'; '.join(bad[:_TOLD])}{more}"


def _metadata(record: S3Record, *, message: str | None) -> dict[str, str] | None:
    """The user's metadata of this version of the object; None if S3 does not give it: the request goes without.

    Raises _NoAnswer where S3 says nothing at all.
    """
    asked: HeadObjectRequestTypeDef = {"Bucket": record.bucket, "Key": record.key}
    if record.version_id:
        asked["VersionId"] = record.version_id
    try:
        return clients.s3().head_object(**asked)["Metadata"]
    except (ClientError, BotoCoreError) as error:
        about = {"event": "metadata_missing", "message": message, "key": record.key, "error": str(error)}
        _log.warning(json.dumps(about))
        if isinstance(error, HTTPClientError | NotConnected):
            raise _NoAnswer from None
        return None


def _producer() -> Producer:
    with _making:
        return _made()


@cache
def _made() -> Producer:
    """One for the process: what its threads send goes out in batches."""
    return Producer(SQS_QUEUE_URL, timeout=_PATIENCE, allow_insecure_endpoint=ALLOW_INSECURE)


def _is_of_sqs(event: dict[str, Any]) -> bool:
    records = event.get("Records")
    first = records[0] if isinstance(records, list) and records else {}
    return isinstance(first, dict) and first.get("eventSource") == "aws:sqs"


def _answer(sent: int, *, failed: int = 0) -> dict[str, Any]:
    """200 says that all is well, so it is 207 where something failed."""
    message = f"{failed} messages failed and stay in the queue" if failed else "S3 events processed"
    return {
        "statusCode": 207 if failed else 200,
        "body": json.dumps({"message": message, "processedCount": sent}),
    }
