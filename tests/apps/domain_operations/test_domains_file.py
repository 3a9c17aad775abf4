"""Test process: domains.json under many writers, on an S3 that is as strict as AWS about conditional writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from apps.domain_operations import clients
from apps.domain_operations.domains_file import KEY, TRIES, Contended, DomainsFile
from apps.domain_operations.rules import Row
from tests.apps.domain_operations.conftest import BUCKET, Resources
from tests.apps.domain_operations.strict_s3 import StrictS3, strict_s3

PATH = f"/{BUCKET}/{KEY}"
WRITERS, EACH = 8, 5
#: One of the writers: its domains, one after the other, and each again until it is there.
WRITER = f"""
import sys
from apps.domain_operations import clients
from apps.domain_operations.domains_file import Contended, DomainsFile
from apps.domain_operations.rules import Row
file = DomainsFile(clients.s3(), "{BUCKET}")
for number in range({EACH}):
    row = Row(domain=f"d{{number}}.w{{sys.argv[1]}}.example", status="active", tenant_id=sys.argv[1])
    while True:
        try:
            assert file.put(row)
            break
        except Contended:
            pass
"""


@pytest.fixture
def s3(sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictS3]:
    with strict_s3() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
        yield store


def row(name: str = "shop.example") -> Row:
    return Row(domain=name, status="active", tenant_id="t-1", hosted_zone_id="Z1")


@pytest.mark.system
def test_no_writer_of_many_loses_an_entry(s3: StrictS3) -> None:
    """Eight processes write forty entries at once: all are there, each written once, and many writes were refused."""
    command = [sys.executable, "-c", WRITER]
    root = Path(__file__).parents[3]
    writers = [subprocess.Popen([*command, str(number)], cwd=root) for number in range(WRITERS)]
    try:
        assert [writer.wait(120) for writer in writers] == [0] * WRITERS
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    domains = json.loads(s3.objects[PATH])["domains"]
    assert sorted(domains) == sorted(
        f"d{number}.w{writer}.example" for number in range(EACH) for writer in range(WRITERS)
    )
    assert all(entry["tenant_id"] == name.split(".")[1][1:] for name, entry in domains.items())
    assert s3.written == WRITERS * EACH
    assert s3.refused > 0


def test_a_refused_write_is_made_again_from_what_is_there_now(s3: StrictS3) -> None:
    """Another one's entry, written between our read and our write, stays; so does the first file of all."""
    pauses: list[float] = []
    file = DomainsFile(clients.s3(), BUCKET, sleep=pauses.append)
    read = file._read

    def overtaken() -> tuple[object, str]:
        seen = read()
        file._read = read  # type: ignore[method-assign]  # once
        DomainsFile(clients.s3(), BUCKET).put(row("other.example"))
        return seen

    for name in ("first.example", "second.example"):
        file._read = overtaken  # type: ignore[method-assign]  # the moment between read and write
        assert file.put(row(name))
        s3.objects[PATH] = s3.objects[PATH].replace(b"other.example", f"other-{name}".encode())
    assert sorted(json.loads(s3.objects[PATH])["domains"]) == [
        "first.example",
        "other-first.example",
        "other-second.example",
        "second.example",
    ]
    assert len(pauses) == s3.refused == 2


def test_what_says_so_already_is_not_written(s3: StrictS3) -> None:
    """A repeated message costs a read."""
    file = DomainsFile(clients.s3(), BUCKET)
    assert (file.says(row()), file.put(row()), file.put(row()), file.says(row())) == (False, True, False, True)
    assert s3.written == 1


def test_a_file_that_others_always_write_first_is_left_to_the_queue(s3: StrictS3) -> None:
    """After a dozen tries, with pauses that grow; nothing was written."""
    pauses: list[float] = []
    file = DomainsFile(clients.s3(), BUCKET, sleep=pauses.append)
    read = file._read

    def overtaken() -> tuple[object, str]:
        seen = read()
        s3.objects[PATH] = json.dumps({"domains": {}, "writes": len(pauses)}).encode()
        return seen

    file._read = overtaken  # type: ignore[method-assign]  # as if somebody wrote after each read
    with pytest.raises(Contended, match=f"s3://{BUCKET}/{KEY}"):
        file.put(row())
    assert (len(pauses), s3.written) == (TRIES, 0)
    assert max(pauses) <= 3.0


def test_a_file_that_has_gone_in_between_is_made_anew(s3: StrictS3) -> None:
    """S3 answers 404 to If-Match then."""
    file = DomainsFile(clients.s3(), BUCKET, sleep=lambda _: None)
    file.put(row())
    read = file._read

    def gone() -> tuple[object, str]:
        seen = read()
        file._read = read  # type: ignore[method-assign]  # once
        s3.objects.clear()
        return seen

    file._read = gone  # type: ignore[method-assign]  # deleted between read and write
    assert file.put(row("other.example"))
    assert list(json.loads(s3.objects[PATH])["domains"]) == ["other.example"]


def test_a_missing_bucket_is_no_empty_file(resources: Resources) -> None:
    """What is wrong reaches the log as S3 says it."""
    with pytest.raises(ClientError, match="NoSuchBucket"):
        DomainsFile(clients.s3(), "elsewhere").put(row())
