"""Test process: which SNS signatures are good; see worker/envelopes/signature.py and certificates.py."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from tests.envelopes.authority import DAY, NOW, Host, Signer
from tests.envelopes.samples import CERTIFICATE_URL, TOPIC
from worker import Reject, Retry
from worker.envelopes import SNSVerifier
from worker.envelopes.certificates import Certificates, fetch_certificate

FILE = "SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem"


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="module")
def stranger() -> Signer:
    return Signer()


@pytest.fixture
def host(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Gives out the signer's certificate."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Host()
    made.body = signer.pem
    yield made
    made.close()


def verifier(host: Host, *, now: float = NOW) -> SNSVerifier:
    return SNSVerifier(topics=[TOPIC], fetch=host.fetching(fetch_certificate), clock=lambda: now)


def refusal(verify: SNSVerifier, body: Any) -> str:
    with pytest.raises(Reject) as caught:
        verify(json.dumps(body))
    return caught.value.reason.removeprefix("signature: ")


def counting(signer: Signer) -> tuple[list[str], Callable[[str], bytes]]:
    """What was fetched, and what gives out the certificate."""
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return signer.pem

    return fetched, fetch


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("fields", [{}, {"Subject": "An order"}])
def test_a_good_signature_is_taken(signer: Signer, host: Host, version: str, fields: dict[str, Any]) -> None:
    """SHA-1 and SHA-256, with a subject and without."""
    found = verifier(host)(json.dumps(signer.sign('{"order": "h\u00e9\\n"}', version=version, **fields)))
    assert found.text == '{"order": "h\u00e9\\n"}'
    assert host.asked == [f"/{FILE}"]


def test_a_certificate_is_fetched_once(signer: Signer, host: Host) -> None:
    """A message a millisecond must not be a request a millisecond."""
    verify = verifier(host)
    for number in range(5):
        verify(signer.sign(str(number)))
    assert len(host.asked) == 1


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp"])
def test_a_changed_field_is_found(signer: Signer, host: Host, name: str) -> None:
    """All that a signature covers."""
    body = signer.sign()
    assert refusal(verifier(host), body | {name: body[name] + "1"}) == "forged, or changed on its way"


def test_a_subject_that_was_added_or_taken_away_is_found(signer: Signer, host: Host) -> None:
    """It is part of what is signed, where there is one."""
    assert refusal(verifier(host), signer.sign() | {"Subject": "x"}) == "forged, or changed on its way"
    without = signer.sign(Subject="x")
    del without["Subject"]
    assert refusal(verifier(host), without) == "forged, or changed on its way"


def test_another_key_is_found(stranger: Signer, host: Host) -> None:
    """Signed well, but not by the key of the certificate."""
    assert refusal(verifier(host), stranger.sign()) == "forged, or changed on its way"


def test_a_signature_of_the_other_version_is_found(signer: Signer, host: Host) -> None:
    """The version says which hash, and no other is tried."""
    for version, other in (("1", "2"), ("2", "1")):
        body = signer.sign(version=version) | {"SignatureVersion": other}
        assert refusal(verifier(host), body) == "forged, or changed on its way"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"TopicArn": f"{TOPIC}-2"}, "TopicArn is none of the topics that are expected"),
        ({"TopicArn": TOPIC.replace("123456789012", "999999999999")}, "TopicArn is none of the topics"),
        ({"Signature": None}, "there is none"),
        ({"Signature": ""}, "there is none"),
        ({"Signature": "###"}, "Signature is not base64"),
        ({"SigningCertURL": None}, "there is none"),
        ({"SignatureVersion": "3"}, "SignatureVersion is neither 1 nor 2"),
        ({"SignatureVersion": None}, "SignatureVersion is neither 1 nor 2"),
        ({"MessageId": "a\nSubject\nb"}, "a line break in a field of SNS's own"),
    ],
)
def test_what_cannot_be_good_is_refused_before_anything_is_fetched(
    signer: Signer, host: Host, fields: dict[str, Any], reason: str
) -> None:
    """A foreign topic's own signature is as good as ours, so it is the topic that decides."""
    body = {name: value for name, value in (signer.sign() | fields).items() if value is not None}
    assert refusal(verifier(host), body).startswith(reason)
    assert host.asked == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://sns.eu-west-1.amazonaws.com/{FILE}",
        f"HTTPS://sns.eu-west-1.amazonaws.com/{FILE}",
        f"https://sns.eu-west-1.amazonaws.com:443/{FILE}",
        f"https://sns.eu-west-1.amazonaws.com@evil.example/{FILE}",
        f"https://user@sns.eu-west-1.amazonaws.com/{FILE}",
        f"https://user:password@sns.eu-west-1.amazonaws.com/{FILE}",
        f"https://evil.example/{FILE}",
        f"https://sns.eu-west-1.amazonaws.com.evil.example/{FILE}",
        f"https://evil.s3.amazonaws.com/{FILE}",
        f"https://sns.s3.amazonaws.com/{FILE}",
        f"https://sns.eu-west-1.s3.amazonaws.com/{FILE}",
        f"https://xsns.eu-west-1.amazonaws.com/{FILE}",
        f"https://sns-eu-west-1.amazonaws.com/{FILE}",
        f"https://sns.amazonaws.com/{FILE}",
        f"https://sns..amazonaws.com/{FILE}",
        f"https://sns.eu-west-1.amazonaws.com.cn.evil/{FILE}",
        f"https://sns.eu-west-1.amazonaws.com/x/{FILE}",
        f"https://sns.eu-west-1.amazonaws.com/../{FILE}",
        f"https://sns.eu-west-1.amazonaws.com//{FILE}",
        f"https://sns.eu-west-1.amazonaws.com/{FILE}?x",
        f"https://sns.eu-west-1.amazonaws.com/{FILE}#x",
        f"https://sns.eu-west-1.amazonaws.com/{FILE}\n",
        f" https://sns.eu-west-1.amazonaws.com/{FILE}",
        f"https://sns.eu-west-1.amazonaws.com\\@evil.example/{FILE}",
        f"https://sns.eu-west-1.amazonaws.com%2F@evil.example/{FILE}",
        f"https://sns.\u0435u-west-1.amazonaws.com/{FILE}",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.txt",
        "https://sns.eu-west-1.amazonaws.com/?Action=Publish",
        "file:///etc/passwd",
        "x",
    ],
)
def test_a_certificate_comes_from_sns_and_nowhere_else(signer: Signer, host: Host, url: str) -> None:
    """Other schemes, hosts, users, ports, paths and queries are refused, and never asked for anything."""
    reason = refusal(verifier(host), signer.sign() | {"SigningCertURL": url})
    assert reason.startswith("SigningCertURL is not one of SNS")
    assert host.asked == []


@pytest.mark.parametrize(
    "host_name",
    ["sns.us-gov-west-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn", "sns.ap-southeast-2.amazonaws.com"],
)
def test_every_region_has_its_host(signer: Signer, host: Host, host_name: str) -> None:
    """GovCloud and China too."""
    assert verifier(host)(signer.sign() | {"SigningCertURL": f"https://{host_name}/{FILE}"}).topic == TOPIC


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_host_but_sns_ever_passes(before: str, after: str) -> None:
    """Whatever stands around the name of SNS: what is fetched is what the pattern is for, to the letter."""
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return b""

    url = f"https://{before}sns.eu-west-1.amazonaws.com{after}/{FILE}"
    with pytest.raises(Reject):
        Certificates(fetch).key(url, NOW)
    assert fetched in ([], [CERTIFICATE_URL], [CERTIFICATE_URL.replace(".com/", ".com.cn/")])


def test_a_certificate_is_good_for_its_time_and_its_name() -> None:
    """Expired, not yet valid, of somebody else, of another kind of key: refused, and not kept."""
    for made, reason in (
        (Signer(ends=NOW - 1), "the certificate was valid until 2026-05-01"),
        (Signer(begins=NOW + 1), "the certificate was valid until 2026-05-03"),
        (Signer("evil.example"), "the certificate is for another name than that of SNS"),
        (Signer("sns.amazonaws.com.evil.example"), "the certificate is for another name"),
        (Signer(elliptic=True), "the certificate has no RSA key"),
    ):
        fetched, fetch = counting(made)
        certificates = Certificates(fetch)
        for _ in range(2):
            with pytest.raises(Reject, match=reason):
                certificates.key(CERTIFICATE_URL, NOW)
        assert len(fetched) == 2


@pytest.mark.parametrize(
    "made", [{"name": "sns.eu-west-1.amazonaws.com"}, {"name": "x", "alternative": "sns.amazonaws.com"}]
)
def test_a_certificate_may_name_the_region_or_be_named_beside(host: Host, made: dict[str, str]) -> None:
    """Common names and alternative names of SNS are both its own."""
    signer = Signer(**made)  # type: ignore[arg-type]  # texts only
    host.body = signer.pem
    assert verifier(host)(signer.sign()).topic == TOPIC


def test_a_kept_certificate_expires_too(signer: Signer, host: Host) -> None:
    """A process lives for weeks."""
    time = NOW
    verify = SNSVerifier(topics=[TOPIC], fetch=host.fetching(fetch_certificate), clock=lambda: time)
    verify(signer.sign())
    time = NOW + 2 * DAY
    assert refusal(verify, signer.sign()) == "the certificate was valid until 2026-05-03"
    assert len(host.asked) == 1


def test_no_more_certificates_are_kept_than_sns_has(signer: Signer) -> None:
    """Who may send can name as many URLs as it likes."""
    fetched, fetch = counting(signer)
    certificates = Certificates(fetch)
    urls = [CERTIFICATE_URL.replace("9c64", f"{number:04}") for number in range(40)]
    for url in (*urls, urls[-1], urls[0]):
        certificates.key(url, NOW)
    assert fetched == [*urls, urls[0]]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(signer: Signer, host: Host, status: int) -> None:
    """Not even to where it would be good."""
    host.status, host.headers = status, {"Location": f"{host.url}/elsewhere"}
    assert f"answers {status}" in refusal(verifier(host), signer.sign())
    assert host.asked == [f"/{FILE}"]


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (404, b"", Reject),
        (403, b"", Reject),
        (429, b"", Retry),
        (500, b"", Retry),
        (503, b"", Retry),
        (200, b"", Reject),
        (200, b"<html>", Reject),
        (200, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", Reject),
        (200, b"x" * 100_000, Reject),
    ],
)
def test_what_is_no_certificate(signer: Signer, host: Host, status: int, body: bytes, outcome: type[Exception]) -> None:
    """An answer that may be better later is a retry, any other a reject; a good one later is taken."""
    good, host.status, host.body = host.body, status, body
    verify = verifier(host)
    with pytest.raises(outcome, match="signature: "):
        verify(signer.sign())
    host.status, host.body = 200, good
    assert verify(signer.sign()).topic == TOPIC


def test_a_host_that_cannot_be_reached_is_a_retry(host: Host) -> None:
    """Nobody listens, the name does not resolve, the connection ends, or nothing comes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Retry, match="timed out"):
            fetch_certificate(f"http://127.0.0.1:{port}/{FILE}", patience=0.1)
    with pytest.raises(Retry, match="cannot be read"):
        fetch_certificate(f"http://127.0.0.1:{port}/{FILE}")
    host.headers, host.body = {"Content-Length": "9"}, b"x"
    with pytest.raises(Retry, match="cannot be read"):
        fetch_certificate(f"{host.url}/{FILE}")


def test_a_host_that_proves_nothing_is_a_retry() -> None:
    """TLS is what says that a certificate is Amazon's: an unknown authority is no connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            connection.settimeout(10)
            with connection, pytest.raises(OSError, match="unknown"):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Retry, match="CERTIFICATE_VERIFY_FAILED"):
            fetch_certificate(f"https://localhost:{listener.getsockname()[1]}/{FILE}")
        thread.join(10)


def test_what_is_no_notification_is_a_decode_reject(host: Host) -> None:
    """As without a verifier."""
    with pytest.raises(Reject, match=r"decode: \$: the body is not JSON"):
        verifier(host)("x")


def test_topics_are_required() -> None:
    """A signature alone says only that somebody has a topic."""
    with pytest.raises(ValueError, match="topics"):
        SNSVerifier(topics=[])
    with pytest.raises(ValueError, match="topics"):
        SNSVerifier(topics=TOPIC)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the application is imported, and not with the first message."""
    monkeypatch.setitem(sys.modules, "cryptography.x509", None)
    with pytest.raises(ImportError, match=r"pip install 'worker\[sns\]'"):
        SNSVerifier(topics=[TOPIC])
