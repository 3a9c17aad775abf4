"""Test process: which channels the environment makes; mail against a real mail server, and the recording's file."""

from __future__ import annotations

import email
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.notifications.answers import Delivered, Later, Refused
from apps.notifications.channels.channel import Channel, Delivery
from apps.notifications.channels.choice import configured
from apps.notifications.environment import Misconfigured
from tests.apps.notifications.mail_server import MailServer, serving


def delivery(key: str = "b:1", **recipient: Any) -> Delivery:
    return Delivery(batch_id="b", channel="email", content="Grüße\nund mehr", recipient=recipient, key=key)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with serving() as server:
        yield server


def mailing(server: MailServer, **more: str) -> Channel:
    return configured({"SMTP_URL": server.url, "EMAIL_FROM": "shop@example.com", **more})["email"]


def test_only_what_is_configured_is_there() -> None:
    """Each channel by its own variables; an empty one is not set."""
    assert configured({}) == {}
    assert configured({"WEBHOOK_URL": "", "SMTP_URL": ""}) == {}
    everything = {
        "LINE_CHANNEL_ACCESS_TOKEN": "t",
        "SMTP_URL": "smtps://user:p%40ss@mail.example.com",
        "EMAIL_FROM": "a@example.com",
        "SMS": "sns",
        "AWS_REGION": "eu-west-1",
        "PUSH_URL": "https://push.example.com/",
        "WEBHOOK_URL": "https://hook.example.com/",
        "RECORDING_FILE": "/dev/null",
    }
    assert set(configured(everything)) == {"line", "email", "sms", "push", "webhook", "recording"}


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"SMTP_URL": "smtps://mail.example.com"}, "EMAIL_FROM is not set"),
        ({"SMTP_URL": "smtps://mail.example.com", "EMAIL_FROM": "nobody"}, "EMAIL_FROM is not an address"),
        ({"SMTP_URL": "mail.example.com:587", "EMAIL_FROM": "a@b.c"}, "SMTP_URL is not a URL that begins with smtp"),
        ({"SMTP_URL": "smtp://localhost", "EMAIL_FROM": "a@b.c", "EMAIL_SUBJECT": "a\nb"}, "EMAIL_SUBJECT is more"),
        ({"WEBHOOK_URL": "hook.example.com/secret"}, "WEBHOOK_URL is not a URL that begins with http or https"),
        ({"WEBHOOK_URL": "https:///secret"}, "WEBHOOK_URL is not a URL"),
        ({"WEBHOOK_URL": "https://[secret"}, "WEBHOOK_URL is not a URL"),
        ({"WEBHOOK_URL": "https://a:99999/secret"}, "WEBHOOK_URL is not a URL"),
        ({"WEBHOOK_URL": "https://a/secret\r\nX: y"}, "WEBHOOK_URL is not a URL"),
        ({"WEBHOOK_URL": "http://hook.example.com/secret"}, "WEBHOOK_URL leads to another machine in clear"),
        ({"PUSH_URL": "http://10.0.0.7/secret"}, "PUSH_URL leads to another machine in clear"),
        (
            {"LINE_CHANNEL_ACCESS_TOKEN": "t", "LINE_API_URL": "http://localhost.example.com/secret"},
            "LINE_API_URL leads",
        ),
        ({"WEBHOOK_URL": "https://a/", "WEBHOOK_TOKEN": "secr\u00e9t"}, "WEBHOOK_TOKEN has characters"),
        ({"LINE_CHANNEL_ACCESS_TOKEN": "a\nsecret"}, "LINE_CHANNEL_ACCESS_TOKEN has characters"),
        ({"SMS": "twilio"}, "SMS is 'twilio': expected sns"),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], why: str) -> None:
    """Misconfigured says which and why, and shows no URL and no token."""
    with pytest.raises(Misconfigured, match=why) as raised:
        configured(environ)
    assert "secr" not in str(raised.value)


def test_other_machines_may_be_spoken_to_in_clear_if_the_operator_says_so() -> None:
    """And this one always."""
    for environ in (
        {"WEBHOOK_URL": "http://hook/x", "ALLOW_INSECURE_URLS": "1"},
        {"WEBHOOK_URL": "http://127.0.0.9:8080/x"},
        {"WEBHOOK_URL": "http://[::1]/x"},
        {"WEBHOOK_URL": "http://hook.localhost/x"},
    ):
        assert set(configured(environ)) == {"webhook"}


def test_a_mail_is_given_in(mail: MailServer) -> None:
    """From, to and content; a repeated delivery has the same Message-ID, another has another."""
    channel = mailing(mail, EMAIL_SUBJECT="Your order")
    for key in ("b:1", "b:1", "b:2"):
        assert channel.deliver(delivery(key, id="1", email=" zoe@example.com ")) == Delivered()
    sender, recipient, text = mail.mails[0]
    seen = email.message_from_bytes(text)
    assert "<shop@example.com>" in sender
    assert "<zoe@example.com>" in recipient
    assert (seen["From"], seen["To"], seen["Subject"]) == ("shop@example.com", "zoe@example.com", "Your order")
    content = seen.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode().split() == ["Grüße", "und", "mehr"]
    ids = [email.message_from_bytes(text)["Message-ID"] for _, _, text in mail.mails]
    assert ids[0] == ids[1] != ids[2]


def test_a_recipient_may_have_a_subject_of_its_own(mail: MailServer) -> None:
    """Without one, and without EMAIL_SUBJECT, it is `Notification`."""
    channel = mailing(mail)
    channel.deliver(delivery(email="a@example.com", subject="For you"))
    channel.deliver(delivery(email="a@example.com"))
    assert [email.message_from_bytes(text)["Subject"] for _, _, text in mail.mails] == ["For you", "Notification"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"email": ""},
        {"email": 5},
        {"email": "nobody"},
        {"email": "a@example.com\r\nBcc: b@example.com"},
        {"email": "a@example.com, b@example.com"},
        {"email": "a@example.com", "subject": "x\r\nBcc: b@example.com"},
    ],
)
def test_what_is_no_address_is_refused(mail: MailServer, fields: dict[str, Any]) -> None:
    """Nothing is given in, and no header can be smuggled."""
    assert isinstance(mailing(mail).deliver(delivery(**fields)), Refused)
    assert mail.mails == []


@given(st.text())
def test_no_address_does_anything_else(text: str) -> None:
    """Whatever it says: refused, or later, since nobody listens there."""
    channel = configured({"SMTP_URL": "smtp://127.0.0.1:1", "EMAIL_FROM": "shop@example.com"})["email"]
    assert isinstance(channel.deliver(delivery(email=text)), Refused | Later)


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        ("RCPT", "550 no such user", Refused("the mail server answered 550")),
        ("RCPT", "450 greylisted", Later("the mail server answered 450")),
        ("DATA", "554 spam", Refused("the mail server answered 554")),
        ("DATA", "451 try again", Later("the mail server answered 451")),
        ("MAIL", "550 sender unknown", Later("the mail server did not take it: SMTPSenderRefused")),
        ("EHLO", "421 busy", Later("the mail server did not take it: SMTPHeloError")),
        ("EHLO", "250 AUTH", Delivered()),
        ("QUIT", "500 what", Delivered()),
    ],
)
def test_what_a_mail_server_says_has_a_meaning(mail: MailServer, command: str, answer: str, expected: object) -> None:
    """5xx about the recipient or the mail: never; about us, and 4xx: later; once the mail is taken it is delivered."""
    mail.answers = {command: answer} | ({"HELO": answer} if command == "EHLO" else {})
    assert mailing(mail).deliver(delivery(email="a@example.com")) == expected


def test_a_login_that_is_refused_is_later(mail: MailServer) -> None:
    """It is the operator's affair, and so is a server that takes no login at all."""
    channel = configured({"SMTP_URL": mail.url.replace("//", "//u:secret@"), "EMAIL_FROM": "shop@example.com"})["email"]
    refused = Later("the mail server is not ready for us: SMTPNotSupportedError")
    assert channel.deliver(delivery(email="a@example.com")) == refused
    mail.answers = {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "535 no"}
    refused = Later("the mail server is not ready for us: SMTPAuthenticationError")
    assert channel.deliver(delivery(email="a@example.com")) == refused
    assert mail.mails == []


def test_other_machines_have_to_speak_tls(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """smtp:// to another machine is STARTTLS or nothing: no mail, and no password, is given to one that has none."""
    monkeypatch.setattr("apps.notifications.environment.ipaddress.ip_address", _elsewhere)
    channel = configured({"SMTP_URL": mail.url.replace("//", "//u:secret@"), "EMAIL_FROM": "shop@example.com"})["email"]
    answer = channel.deliver(delivery(email="a@example.com"))
    assert answer == Later("the mail server is not ready for us: SMTPNotSupportedError")
    assert mail.mails == []


def _elsewhere(_: str) -> object:
    """Loopback looks like any other address."""
    raise ValueError


def test_a_recording_is_a_line_for_each_delivery(tmp_path: Path) -> None:
    """With the key, the content and the recipient; only the owner can read it."""
    path = tmp_path / "out.jsonl"
    channel = configured({"RECORDING_FILE": str(path)})["recording"]
    assert channel.deliver(delivery("b:1", id="1")) == Delivered()
    assert channel.deliver(delivery("b:2", id="2")) == Delivered()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["key"] for line in lines] == ["b:1", "b:2"]
    assert lines[1]["recipient"] == {"id": "2"}
    assert lines[1]["content"] == "Grüße\nund mehr"
    assert path.stat().st_mode & 0o777 == 0o600


def test_half_a_line_of_a_killed_process_spoils_no_other(tmp_path: Path) -> None:
    """The next line begins anew."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"key": "b:1"}\n{"key": "b')
    configured({"RECORDING_FILE": str(path)})["recording"].deliver(delivery("b:2", id="2"))
    lines = path.read_bytes().splitlines()
    assert lines[:2] == [b'{"key": "b:1"}', b'{"key": "b']
    assert json.loads(lines[2])["key"] == "b:2"


def test_a_file_that_cannot_be_written_raises(tmp_path: Path) -> None:
    """Which is a retry: nothing is marked that is not there."""
    with pytest.raises(FileNotFoundError):
        configured({"RECORDING_FILE": str(tmp_path / "no" / "file")})["recording"].deliver(delivery())


def test_lines_of_several_processes_stay_whole(tmp_path: Path, python: Callable[..., subprocess.Popen[bytes]]) -> None:
    """Three processes, 200 long lines each."""
    path = tmp_path / "out.jsonl"
    source = f"""
from apps.notifications.channels.channel import Delivery
from apps.notifications.channels.recording import Recording
for number in range(200):
    fields = {{"id": number, "note": "x" * 9000}}
    Recording({str(path)!r}).deliver(Delivery(batch_id="b", channel="recording", content="", recipient=fields, key="k"))
"""
    children = [python(source) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    numbers = [json.loads(line)["recipient"]["id"] for line in path.read_bytes().splitlines()]
    assert sorted(numbers) == sorted([*range(200)] * 3)
