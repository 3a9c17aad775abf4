"""Our signatures against those of botocore's signer, on requests that nobody thought of."""

from __future__ import annotations

import datetime
import hashlib
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from worker.aws.endpoint import Endpoint
from worker.aws.signing import Credentials, Signer

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
NAMES = st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True)
HOSTS = st.one_of(
    st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?(\.[a-z0-9]{1,8}){0,4}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
PORTS = st.one_of(st.just(""), st.sampled_from([":80", ":443"]), st.integers(1, 65535).map(":{}".format))
PATHS = st.lists(
    st.one_of(st.sampled_from(["", ".", "..", "%2F", "a b", "grün", "~x"]), st.text(VISIBLE, max_size=8)), max_size=6
).map(lambda parts: "".join(f"/{part}" for part in parts).replace("?", "").replace("#", ""))
BODIES = st.binary(max_size=200)
KEYS = st.text(VISIBLE, min_size=1, max_size=40)
TOKENS = st.text(VISIBLE, max_size=60)
TIMES = st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2099, 12, 31))


def headers_of(head: bytes) -> dict[str, str]:
    """The headers of a request, by their names in small letters."""
    lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def botocores(url: str, body: bytes, *, headers: dict[str, str], keys: Credentials, scope: tuple[str, str]) -> str:
    """The Authorization header that botocore writes for the same request at the same time."""
    signed = {name: headers[name] for name in ("content-type", "x-amz-target", "x-amzn-query-mode")}
    request = AWSRequest("POST", url, headers=signed, data=body)
    region, service = scope
    credentials = BotocoreCredentials(keys.access_key, keys.secret_key, keys.token or None)
    at = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at):
        botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    assert request.headers["X-Amz-Date"] == headers["x-amz-date"]
    return str(request.headers["Authorization"])


@given(st.sampled_from(["http", "https"]), HOSTS, PORTS, PATHS, NAMES, NAMES, KEYS, KEYS, TOKENS, NAMES, BODIES, TIMES)
def test_it_is_botocores(
    scheme: str,
    host: str,
    port: str,
    path: str,
    region: str,
    service: str,
    access: str,
    secret: str,
    token: str,
    action: str,
    body: bytes,
    at: datetime.datetime,
) -> None:
    """Same host, date, scope, signed headers and signature, whatever host, port, path, region, keys and token."""
    url = f"{scheme}://{host}{port}{path}"
    endpoint = Endpoint(url, region, service)
    signer = Signer(host=endpoint.authority, path=endpoint.path, region=region, service=service)
    keys, digest = Credentials(access, secret, token), hashlib.sha256(body).hexdigest()
    now = at.replace(tzinfo=datetime.UTC).timestamp()
    head = signer.head(f"AmazonSQS.{action}", digest=digest, length=len(body), credentials=keys, now=now)
    headers = headers_of(head)
    assert headers["authorization"] == botocores(url, body, headers=headers, keys=keys, scope=(region, service))
    assert headers.get("x-amz-security-token", "") == token
    assert headers["content-length"] == str(len(body))


def test_the_day_and_the_credentials_change_under_it() -> None:
    """Its key is kept for a day and a secret: across midnight, and after a refresh, it signs as a new one would."""
    kept = Signer(host="h", path="/", region="r", service="s")
    first, second = Credentials("a", "one"), Credentials("b", "two", "token")
    midnight = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC).timestamp()
    for now in (midnight - 1, midnight, midnight - 0.5, midnight + 0.9, midnight + 86_400):
        for keys in (first, second, first):
            made = Signer(host="h", path="/", region="r", service="s")
            one, other = (signer.head("T", digest="d", length=1, credentials=keys, now=now) for signer in (kept, made))
            assert one == other


@pytest.mark.parametrize("bad", ["x\n", "x\r\ny: z", "x\0", "ü", "x\x7f"])
def test_what_no_header_takes_is_known(bad: str) -> None:
    """A line end in a key or token would add a header to the request; neither is ever shown."""
    for keys in (Credentials(bad, "s"), Credentials("a", "s", bad)):
        assert not keys.sendable
    assert Credentials("a", bad, "t").sendable
    assert "secret" not in repr(Credentials("secret-a", "secret-s", "secret-t"))
