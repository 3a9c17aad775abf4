"""Test process: what SNS has and we have not: keys, certificates, signatures, and a host that gives them out."""

from __future__ import annotations

import base64
import datetime
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from tests.envelopes.samples import notification

#: When the tests take place, in seconds since 1970.
NOW = datetime.datetime(2026, 5, 2, tzinfo=datetime.UTC).timestamp()
DAY = 86_400.0
_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")


class Signer:
    """A key, and a certificate of it."""

    def __init__(
        self,
        name: str = "sns.amazonaws.com",
        *,
        begins: float = NOW - DAY,
        ends: float = NOW + DAY,
        elliptic: bool = False,
        alternative: str = "",
    ) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key: Any = ec.generate_private_key(ec.SECP256R1()) if elliptic else self.key
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime.fromtimestamp(begins, datetime.UTC))
            .not_valid_after(datetime.datetime.fromtimestamp(ends, datetime.UTC))
        )
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(alternative)]), critical=False)
        self.pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def sign(self, message: str = "{}", *, version: str = "1", **fields: Any) -> dict[str, Any]:
        """A notification with a good signature, as AWS's documentation says how."""
        body = notification(message, SignatureVersion=version, **fields)
        text = "".join(f"{name}\n{body[name]}\n" for name in _SIGNED if name in body)
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303 - version 1 is SHA-1
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return body | {"Signature": base64.b64encode(signature).decode()}


class Host:
    """An HTTP server on loopback that answers with `status`, `body` and `headers`, and remembers what was asked for."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append(self.path)
                self.send_response(host.status)
                for name, value in host.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(host.body)))
                self.end_headers()
                self.wfile.write(host.body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def fetching(self, fetch: Callable[[str], bytes]) -> Callable[[str], bytes]:
        """`fetch`, with this host in the place of every other."""
        return lambda url: fetch(self.url + "/" + url.partition("://")[2].partition("/")[2])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
