"""Handler process: the certificates that SNS signs with: fetched from SNS and nowhere else, judged, and kept.

That a certificate is Amazon's is proved by where it was fetched: over verified TLS, from a host that only SNS can have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.message import Reject, Retry

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import Certificate

#: The whole URL, so that no user, port, query, fragment or encoded dot has a place in it. Anybody can have a host below
#: amazonaws.com, a bucket for instance; hosts called sns.REGION are those of SNS.
_URL = re.compile(
    r"https://sns\.[a-z]{2,}(-[a-z]+)+-[0-9]+\.amazonaws\.com(\.cn)?"
    r"/SimpleNotificationService-[0-9A-Za-z]{16,64}\.pem",
    re.ASCII,
)
#: Whom a certificate must be for.
_NAME = re.compile(r"sns(\.[a-z]{2,}(-[a-z]+)+-[0-9]+)?\.amazonaws\.com(\.cn)?", re.ASCII)
#: Seconds that connecting, and each wait for bytes, may take.
_PATIENCE = 3.0
#: Bytes: they have 2 KB.
_LONGEST = 65_536
#: Certificates kept. Each region has one or two at a time.
_MOST = 32

#: Gives the bytes at a URL. Raises Retry where it cannot be reached now, Reject where there is none.
Fetch = Callable[[str], bytes]


class Certificates:
    """Public keys by certificate URL."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._known: dict[str, Certificate] = {}

    def key(self, url: str, now: float) -> RSAPublicKey:
        """The key of the certificate at a URL; `now` in seconds since 1970. Raises Reject, Retry."""
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

        if not _URL.fullmatch(url):
            raise Reject("signature: SigningCertURL is not one of SNS: https://sns.REGION.amazonaws.com/...pem")
        certificate = self._known.get(url)
        if certificate is None:
            certificate = _parse(self._fetch(url))
        moment = datetime.fromtimestamp(now, UTC)
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            self._known.pop(url, None)
            raise Reject(f"signature: the certificate was valid until {certificate.not_valid_after_utc:%Y-%m-%d}")
        if not any(_NAME.fullmatch(name) for name in _names(certificate)):
            raise Reject("signature: the certificate is for another name than that of SNS")
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise Reject("signature: the certificate has no RSA key")
        # Only now, so that a bad one is fetched again. The oldest goes; by steps that threads cannot break.
        if url not in self._known:
            for oldest in list(self._known)[: max(0, len(self._known) - _MOST + 1)]:
                self._known.pop(oldest, None)
        self._known[url] = certificate
        return key


def fetch_certificate(url: str, *, patience: float = _PATIENCE) -> bytes:
    """The bytes at a URL, by the environment's proxies, with short timeouts and no redirect. Raises Reject, Retry."""
    import http.client
    import urllib.error
    import urllib.request

    class Straight(urllib.request.HTTPRedirectHandler):
        """A redirect is an answer like any other that is no certificate."""

        def redirect_request(self, *_: object) -> None:
            return None

    try:
        # The URL has been held against _URL: it is https.
        with urllib.request.build_opener(Straight).open(url, timeout=patience) as answer:
            data: bytes = answer.read(_LONGEST + 1)
            if len(data) <= _LONGEST and answer.length:
                raise http.client.IncompleteRead(data, answer.length)  # a part is no bad certificate
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 429 or error.code >= 500:
            raise Retry(reason=f"signature: {url} answers {error.code}") from None
        raise Reject(f"signature: {url} answers {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Retry(reason=f"signature: {url} cannot be read: {type(error).__name__}: {error}") from None
    if len(data) > _LONGEST:
        raise Reject(f"signature: what {url} gives is too long for a certificate")
    return data


def _parse(data: bytes) -> Certificate:
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(data)
    except ValueError:
        raise Reject("signature: what SigningCertURL gives is no certificate") from None


def _names(certificate: Certificate) -> list[str]:
    from cryptography.x509 import DNSName, ExtensionNotFound, SubjectAlternativeName
    from cryptography.x509.oid import NameOID

    names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        extension = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except (ExtensionNotFound, ValueError):
        return names
    return names + extension.value.get_values_for_type(DNSName)
