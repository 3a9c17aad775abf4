"""SQS server process: SendMessage and SendMessageBatch."""

from typing import Any

from worker.testing.sqs_server import batches, limits, message_attributes, sending
from worker.testing.sqs_server.broker import Broker, Caller, Entry
from worker.testing.sqs_server.deduplication import Sent
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.messages import Message
from worker.testing.sqs_server.sending import Draft


def send_message(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Sends one message. Limits and errors: SendMessage."""
    entry = broker.entry(request.get("QueueUrl"), caller)
    draft = sending.draft(request, entry.queue.settings)
    sending.check_size(draft, entry.queue.settings, batch=False)
    return _send(broker, entry, draft, now=now, caller=caller)


def send_message_batch(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Sends up to ten messages. A bad entry fails alone on a standard queue, and with the whole batch on a FIFO one."""
    entry = broker.entry(request.get("QueueUrl"), caller)
    settings = entry.queue.settings
    fields = batches.entries(request, "SendMessageBatchRequestEntry")
    drafts: list[Draft | SqsError] = []
    for position, one in enumerate(fields, 1):
        try:
            drafts.append(sending.draft(one, settings, position=position))
        except SqsError as error:
            if settings.fifo or error.shape == "SerializationException":
                raise
            drafts.append(error)
    total = sum(draft.size for draft in drafts if isinstance(draft, Draft))
    if total > limits.MESSAGE_BYTES:
        raise SqsError(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {limits.MESSAGE_BYTES} bytes. You have sent {total} bytes.",
        )
    if settings.fifo:
        # Nothing may be sent before every entry passed: the batch fails as a whole.
        for draft in drafts:
            if isinstance(draft, Draft):
                sending.check_size(draft, settings, batch=True)
    successful: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for one, draft in zip(fields, drafts, strict=True):
        try:
            if isinstance(draft, SqsError):
                raise draft
            sending.check_size(draft, settings, batch=True)
            successful.append({"Id": one["Id"], **_send(broker, entry, draft, now=now, caller=caller)})
        except SqsError as error:
            failed.append(error.entry(one["Id"]))
    return batches.answer(successful, failed)


def _send(broker: Broker, entry: Entry, draft: Draft, *, now: float, caller: Caller) -> dict[str, Any]:
    queue = entry.queue
    # The header stands in for the attribute where a client only sets that (recorded on AWS).
    trace_header = draft.trace_header or caller.trace_header
    answer: dict[str, Any] = {"MD5OfMessageBody": draft.body_md5}
    if draft.attributes_md5 is not None:
        answer["MD5OfMessageAttributes"] = draft.attributes_md5
    if draft.trace_header is not None:
        answer["MD5OfMessageSystemAttributes"] = message_attributes.trace_digest(draft.trace_header)
    if queue.settings.fifo:
        group, deduplication_id = draft.group or "", draft.deduplication_id or ""
        known = queue.deduplication.find(group, deduplication_id, now)
        if known is not None:
            if broker.events is not None:
                broker.events.record("duplicate", now=now, queue=queue.name, message_id=known.message_id, group=group)
            return answer | {"MessageId": known.message_id, "SequenceNumber": known.sequence_number}
    message = Message(
        broker.ids.message_id(),
        draft.body,
        draft.body_md5,
        now,
        draft.attributes,
        draft.attributes_md5,
        trace_header,
        draft.group,
        draft.deduplication_id,
    )
    queue.add(message, draft.delay, now=now)
    queue.sent += 1
    answer["MessageId"] = message.message_id
    if message.sequence_number is not None:
        answer["SequenceNumber"] = message.sequence_number
        sent = Sent(message.message_id, message.sequence_number)
        queue.deduplication.remember(draft.group or "", draft.deduplication_id or "", sent=sent, now=now)
    if broker.events is not None:
        broker.events.record(
            "send",
            now=now,
            queue=queue.name,
            message_id=message.message_id,
            sequence=message.sequence,
            group=message.group,
            delay=draft.delay,
            connection=caller.connection,
            request=caller.request,
        )
    return answer
