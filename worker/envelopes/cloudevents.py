"""Handler process: CloudEvents 1.0: in structured mode, or in binary mode, with attributes beside a plain body.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. There is no binding for SQS; in binary mode the
message attributes are called `ce-id` and so on, as in HTTP, or `ce_id`, as in Kafka.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from worker.envelopes.fields import Fields, Source, bytes_of, read
from worker.message import Message

_KIND = "CloudEvent"
_PREFIXES = ("ce-", "ce_")
_KNOWN = {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """One event. Together `source` and `id` name it, in every delivery."""

    id: str
    source: str  #: a URI
    type: str
    subject: str | None = None
    time: str | None = None  #: RFC 3339
    content_type: str | None = None  #: datacontenttype; None means JSON in structured mode
    schema: str | None = None  #: dataschema, a URI
    extensions: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = field(repr=False)  #: the payload: data, or data_base64 decoded
    original: bytes = field(repr=False)  #: the body that it was read from


def cloudevent(source: Source) -> CloudEvent:
    """The event in a message. Raises Reject("decode: ...")."""
    if isinstance(source, Message):
        if isinstance(source.envelope, CloudEvent):
            return source.envelope  # the queue's table has `envelope = "cloudevents"`
        beside = _beside(source)
        if "specversion" in beside:
            return _event(Fields(beside, kind=_KIND, path="$.message_attributes"), beside, source.body, source.body)
    fields, original = read(source, _KIND), bytes_of(source)
    extensions = {name: value for name, value in fields.raw.items() if name not in ("data", "data_base64")}
    return _event(fields, extensions, _payload(fields), original)


def _beside(message: Message) -> dict[str, Any]:
    """The attributes of binary mode."""
    found: dict[str, Any] = {}
    for name, attribute in message.message_attributes.items():
        if name.lower().startswith(_PREFIXES):
            found[name[3:].lower()] = attribute.value
        elif name.lower() == "content-type":
            found["datacontenttype"] = attribute.value
    return found


def _event(fields: Fields, attributes: Mapping[str, Any], body: bytes, original: bytes) -> CloudEvent:
    if fields.text("specversion") != "1.0":
        raise fields.misfit("specversion", "not 1.0")
    return CloudEvent(
        id=fields.text("id"),
        source=fields.text("source"),
        type=fields.text("type"),
        subject=fields.optional_text("subject"),
        time=fields.optional_text("time"),
        content_type=fields.optional_text("datacontenttype"),
        schema=fields.optional_text("dataschema"),
        extensions={name: value for name, value in attributes.items() if name not in _KNOWN},
        body=body,
        original=original,
    )


def _payload(fields: Fields) -> bytes:
    """As it would be sent alone: JSON, or what the content type says it is; nothing where there is no data."""
    coded = fields.optional_text("data_base64")
    if coded is not None:
        if "data" in fields.raw:
            raise fields.misfit("data_base64", "beside data")
        try:
            return binascii.a2b_base64(coded, strict_mode=True)
        except ValueError:
            raise fields.misfit("data_base64", "not base64") from None
    if "data" not in fields.raw:
        return b""
    data = fields.raw["data"]
    if isinstance(data, str) and not _is_json(fields.optional_text("datacontenttype")):
        return data.encode()
    return orjson.dumps(data)


def _is_json(content_type: str | None) -> bool:
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))
