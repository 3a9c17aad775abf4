"""Test process: the channels that post over HTTP, against a real server: what they send, and what an answer means."""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
import trustme

from apps.notifications.answers import Delivered, Later, Refused
from apps.notifications.channels import posting
from apps.notifications.channels.channel import Channel, Delivery
from apps.notifications.channels.choice import configured
from tests.apps.notifications.receiver import Receiver, Reply, Request, receiving

BATCH = "5f0c2a52-7d0e-4f9e-9b8a-6f6f3b0f9d11"
PERSON = {"id": "u-1", "line_id": "U4af4980629", "device_token": "d-1", "name": "Zoë \u2603"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def channel(name: str, receiver: Receiver) -> Channel:
    """As the environment makes it."""
    environ = {
        "WEBHOOK_URL": f"{receiver.url}/hook?secret=s3cret",
        "WEBHOOK_TOKEN": "t0ken",
        "PUSH_URL": f"{receiver.url}/push",
        "PUSH_TOKEN": "t0ken",
        "LINE_API_URL": receiver.url,
        "LINE_CHANNEL_ACCESS_TOKEN": "t0ken",
    }
    return configured(environ)[name]


def delivery(**recipient: object) -> Delivery:
    return Delivery(
        batch_id=BATCH, channel="webhook", content="Grüße", recipient=PERSON | recipient, key=f"{BATCH}:u-1"
    )


def test_the_webhook_gets_the_notification_of_one_recipient(receiver: Receiver) -> None:
    """JSON, with the recipient unchanged, a key that is the same at every try, and the token."""
    hook = channel("webhook", receiver)
    assert [hook.deliver(delivery()) for _ in range(2)] == [Delivered(), Delivered()]
    one, other = receiver.requests
    assert one.said == {"batch_id": BATCH, "channel": "webhook", "content": "Grüße", "recipient": PERSON}
    assert one.path == "/hook?secret=s3cret"
    assert one.headers["Content-Type"] == "application/json"
    assert one.headers["Authorization"] == "Bearer t0ken"
    assert one.key == other.key == f"{BATCH}:u-1"


def test_the_push_gateway_gets_the_device(receiver: Receiver) -> None:
    """With the key also as the collapse key, by which a device shows a repeated notification once."""
    assert channel("push", receiver).deliver(delivery()) == Delivered()
    (request,) = receiver.requests
    key = f"{BATCH}:u-1"
    assert (request.path, request.key) == ("/push", key)
    assert request.said == {"device_token": "d-1", "content": "Grüße", "collapse_key": key}


def test_line_gets_a_text_message_with_a_retry_key(receiver: Receiver) -> None:
    """As the Messaging API wants it: the retry key is a UUID, the same at every try and another for others."""
    line = channel("line", receiver)
    assert [line.deliver(delivery()) for _ in range(2)] == [Delivered(), Delivered()]
    one, other = receiver.requests
    assert one.path == "/v2/bot/message/push"
    assert one.said == {"to": "U4af4980629", "messages": [{"type": "text", "text": "Grüße"}]}
    assert one.headers["Authorization"] == "Bearer t0ken"
    assert uuid.UUID(one.headers["X-Line-Retry-Key"]) == uuid.UUID(other.headers["X-Line-Retry-Key"])


def test_line_says_409_to_what_it_has_accepted_before(receiver: Receiver) -> None:
    """That is a delivery; of a webhook 409 is a refusal as any other."""
    receiver.reply = lambda _: Reply(409)
    assert channel("line", receiver).deliver(delivery()) == Delivered()
    assert channel("webhook", receiver).deliver(delivery()) == Refused("the webhook answered 409")


@pytest.mark.parametrize(("name", "field"), [("line", "line_id"), ("push", "device_token")])
def test_who_has_no_address_is_refused(receiver: Receiver, name: str, field: str) -> None:
    """Nothing is posted."""
    for value in (None, "", "  ", 5):
        assert channel(name, receiver).deliver(delivery(**{field: value})) == Refused(f"no {field}")
    assert receiver.requests == []


def test_a_wrong_token_is_not_the_recipients_fault(receiver: Receiver) -> None:
    """401 and 403 of LINE and of the gateway: later; a webhook's own 4xx is a refusal, whatever it means."""
    for status in (401, 403):
        receiver.reply = lambda _, status=status: Reply(status)  # type: ignore[misc]  # a default that binds
        for name in ("line", "push"):
            answer = channel(name, receiver).deliver(delivery())
            assert isinstance(answer, Later)
            assert "token" in answer.why
        assert isinstance(channel("webhook", receiver).deliver(delivery()), Refused)


def test_statuses_and_retry_after_come_from_the_wire(receiver: Receiver) -> None:
    """404 never; 500 later; 429 and 503 after the seconds, or till the date, that they say."""
    hook = channel("webhook", receiver)
    date = formatdate(time.time() + 3600, usegmt=True)
    replies = [
        Reply(404),
        Reply(500),
        Reply(429, {"Retry-After": "17"}),
        Reply(503, {"Retry-After": date}),
    ]
    receiver.reply = lambda _: replies[len(receiver.requests) - 1]
    answers = [hook.deliver(delivery()) for _ in replies]
    assert answers[:3] == [
        Refused("the webhook answered 404"),
        Later("the webhook answered 500"),
        Later("the webhook answered 429", 17.0),
    ]
    last = answers[3]
    assert isinstance(last, Later)
    assert last.after is not None
    assert 3000 < last.after <= 3600


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    """Neither to another host nor to the same one: content and token stay where the operator sent them."""
    with receiving() as elsewhere:
        for target in (f"{elsewhere.url}/stolen", "/elsewhere"):
            for status in (301, 302, 303, 307, 308):
                receiver.reply = lambda _, status=status, target=target: Reply(status, {"Location": target})  # type: ignore[misc]  # defaults that bind
                answer = channel("webhook", receiver).deliver(delivery())
                assert isinstance(answer, Later)
                assert "redirects are not followed" in answer.why
        assert elsewhere.requests == []
    assert len(receiver.requests) == 10
    assert {request.path for request in receiver.requests} == {"/hook?secret=s3cret"}


@pytest.mark.parametrize("reply", [Reply(hang=True), Reply(drop=True)])
def test_no_answer_is_later(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, reply: Reply) -> None:
    """A server that hangs or hangs up: within the timeout, and the reason shows neither URL nor token."""
    monkeypatch.setattr(posting, "_READ", 0.1)
    receiver.reply = lambda _: reply
    answer = channel("webhook", receiver).deliver(delivery())
    assert isinstance(answer, Later)
    assert answer.after is None
    assert answer.why.startswith("the webhook did not answer: ")
    assert "secret" not in answer.why
    assert "t0ken" not in answer.why
    assert len(receiver.requests) == 1


def test_a_server_that_is_not_there_is_later() -> None:
    """Nobody listens at the port."""
    with receiving() as gone:
        hook = channel("webhook", gone)
    assert hook.deliver(delivery()) == Later("the webhook did not answer: NewConnectionError")


def test_an_answer_counts_though_its_body_does_not_end(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status says what became of it: a body that stays away, or has no end, makes no delivery undone."""
    monkeypatch.setattr(posting, "_READ", 0.2)
    hook = channel("webhook", receiver)
    for body, length in ((b"x", "1000"), (b"x" * 1_000_000, "1000000")):
        receiver.reply = lambda _, body=body, length=length: Reply(200, {"Content-Length": length}, body)  # type: ignore[misc]  # defaults that bind
        assert hook.deliver(delivery()) == Delivered()


def test_only_a_trusted_certificate_gets_a_notification(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an unknown authority: later, and nothing was posted; SSL_CERT_FILE makes it known."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    receiver.encrypt(context)
    url = receiver.url.replace("http:", "https:")
    assert configured({"WEBHOOK_URL": url})["webhook"].deliver(delivery()) == Later(
        "the webhook did not answer: SSLError"
    )
    assert receiver.requests == []
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert configured({"WEBHOOK_URL": url})["webhook"].deliver(delivery()) == Delivered()
    assert len(receiver.requests) == 1


def test_connections_are_kept(receiver: Receiver) -> None:
    """Twenty recipients, refusals among them, one connection."""

    def reply(request: Request) -> Reply:
        return Reply(404 if len(receiver.requests) % 5 == 0 else 200, body=b"x" * 5000)

    receiver.reply = reply
    hook = channel("webhook", receiver)
    kinds = [type(hook.deliver(delivery())) for _ in range(20)]
    assert kinds.count(Refused) == 4
    assert receiver.connections == 1


def test_half_a_surrogate_pair_travels_as_its_escape(receiver: Receiver) -> None:
    """What JSON can say about a recipient reaches the webhook as it is."""
    assert channel("webhook", receiver).deliver(delivery(name="a\ud800b")) == Delivered()
    assert receiver.requests[0].said["recipient"]["name"] == "a\ud800b"
