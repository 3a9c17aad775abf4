"""Handler process: the channel `email`: mail by SMTP."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import SplitResult, unquote

from apps.notifications.answers import Answer, Delivered, Later, Refused
from apps.notifications.channels.channel import Delivery
from apps.notifications.environment import Misconfigured, address, may_speak_in_clear, required

#: Seconds for each step of the conversation.
_TIMEOUT = 5.0
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where mail is given in."""

    host: str
    port: int
    tls: bool  #: from the first byte
    starttls: bool  #: asked for, and demanded
    user: str = ""
    password: str = ""


class Email:
    """A connection for each mail: simple, and a mail server closes an idle one anyway."""

    def __init__(self, server: Server, *, sender: str, subject: str) -> None:
        self._server, self._subject = server, subject
        self._sender = _address(sender)

    def deliver(self, delivery: Delivery) -> Answer:
        """5xx about the recipient or the mail: never; all else, a refused login or sender as well: later.

        A repeated delivery has the same Message-ID, by which mail servers and programs know it.
        """
        try:
            to = _address(delivery.text("email"))
            mail = self._mail(delivery, to)
        except ValueError:
            return Refused("no email, no valid address, or a subject of several lines")
        try:
            smtp = self._connected()
        except (smtplib.SMTPException, OSError) as error:
            # A refused login, no STARTTLS, an unknown certificate: the operator's affair, not the message's.
            return Later(f"the mail server is not ready for us: {type(error).__name__}")
        try:
            try:
                smtp.send_message(mail, from_addr=self._sender.addr_spec, to_addrs=[to.addr_spec])
            finally:
                with suppress(smtplib.SMTPException, OSError):  # a failing goodbye takes no mail back
                    smtp.quit()
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            return _answer(code)
        except smtplib.SMTPDataError as error:
            return _answer(error.smtp_code)
        except smtplib.SMTPNotSupportedError:
            return Refused("the mail server does not take this address")
        except (smtplib.SMTPException, OSError) as error:
            return Later(f"the mail server did not take it: {type(error).__name__}")  # us as its sender, for one
        return Delivered()

    def _mail(self, delivery: Delivery, to: Address) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"], mail["Subject"] = self._sender, to, delivery.text("subject") or self._subject
        mail["Message-ID"] = f"<{hashlib.sha256(delivery.key.encode()).hexdigest()}@{self._sender.domain}>"
        mail.set_content(delivery.content)
        return mail

    def _connected(self) -> smtplib.SMTP:
        """Raises SMTPException or OSError."""
        server, context = self._server, ssl.create_default_context()
        smtp = (
            smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT, context=context)
            if server.tls
            else smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT)
        )
        try:
            if server.starttls:
                smtp.starttls(context=context)
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp


def from_environment(environ: Mapping[str, str]) -> Email | None:
    """SMTP_URL, EMAIL_FROM and EMAIL_SUBJECT. Raises Misconfigured."""
    # smtp:// is in clear to this machine only: STARTTLS is demanded of others.
    url = address({**environ, "ALLOW_INSECURE_URLS": "1"}, "SMTP_URL", schemes=("smtp", "smtps"))
    if url is None:
        return None
    sender = required(environ, "EMAIL_FROM", purpose="the address that mail of SMTP_URL comes from")
    subject = environ.get("EMAIL_SUBJECT", "") or "Notification"
    if not subject.isprintable():
        raise Misconfigured("environment variable EMAIL_SUBJECT is more than a line of text")
    starttls = url.scheme == "smtp" and not may_speak_in_clear(environ, url.hostname or "")
    try:
        return Email(_server(url, starttls=starttls), sender=sender, subject=subject)
    except ValueError:
        raise Misconfigured("environment variable EMAIL_FROM is not an address") from None


def _address(text: str) -> Address:
    """An address of mail. Raises ValueError."""
    try:
        return Address(addr_spec=text)
    except (ValueError, MessageError, IndexError) as error:  # IndexError: the library's answer to no text at all
        raise ValueError(f"no address: {type(error).__name__}") from None


def _server(url: SplitResult, *, starttls: bool) -> Server:
    return Server(
        host=url.hostname or "",
        port=url.port or _PORTS[url.scheme],
        tls=url.scheme == "smtps",
        starttls=starttls,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
    )


def _answer(code: int) -> Answer:
    why = f"the mail server answered {code}"
    return Refused(why) if 500 <= code < 600 else Later(why)
