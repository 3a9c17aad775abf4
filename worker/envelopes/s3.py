"""Handler process: the event notifications of S3.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_plus

from worker.envelopes.fields import Fields, Source, read
from worker.envelopes.sns import is_sns, sns

_KIND = "S3 event"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Record:
    """What happened to one object."""

    bucket: str
    key: str  #: decoded: S3 writes it as in a URL
    event_name: str  #: such as ObjectCreated:Put
    event_time: str  #: ISO 8601, UTC, as S3 wrote it
    region: str | None = None
    size: int | None = None  #: bytes; a removal has none
    etag: str | None = None
    version_id: str | None = None  #: of buckets with versioning
    #: Hexadecimal: of two events of one key the later has the greater text, once the shorter is filled up with zeros on
    #: its right.
    sequencer: str | None = None


def s3_records(source: Source) -> list[S3Record]:
    """The records of an S3 event, which may have come through SNS. Raises Reject("decode: ...").

    None of them for `s3:TestEvent`, which S3 sends when notifications are set up: there is nothing to do.
    """
    fields = read(source, _KIND)
    if is_sns(fields):
        fields = read(sns(source).text, _KIND)
    if fields.raw.get("Event") == "s3:TestEvent":
        return []
    records = [_record(record) for record in fields.objects("Records")]
    if not records:
        raise fields.misfit("Records", "empty")
    return records


def _record(fields: Fields) -> S3Record:
    s3 = fields.inner("s3")
    stored = s3.inner("object")
    try:
        key = unquote_plus(stored.text("key"), errors="strict")
    except UnicodeDecodeError:
        raise stored.misfit("key", "not UTF-8 once its %XX are decoded") from None
    return S3Record(
        bucket=s3.inner("bucket").text("name"),
        key=key,
        event_name=fields.text("eventName"),
        event_time=fields.text("eventTime"),
        region=fields.optional_text("awsRegion"),
        size=stored.optional_number("size"),
        etag=stored.optional_text("eTag"),
        version_id=stored.optional_text("versionId"),
        sequencer=stored.optional_text("sequencer"),
    )
