"""Handler process: reads environment variables for service and handler function, and names what is wrong."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

LOG = logging.getLogger("apps.notifications")


class Misconfigured(RuntimeError):
    """An environment variable is missing or wrong; `str()` names it, and says what it is for."""


def required(environ: Mapping[str, str], name: str, *, purpose: str) -> str:
    """A variable that has to be set. Raises Misconfigured."""
    value = environ.get(name, "")
    if not value:
        raise Misconfigured(f"environment variable {name} is not set (or empty): {purpose}")
    return value


def number(environ: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    """A whole number, 1 or more. Raises Misconfigured."""
    text = environ.get(name, "") or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise Misconfigured(f"environment variable {name} is {text!r}: expected a whole number, 1 to {most:,}")
    return int(text)


def secret(environ: Mapping[str, str], name: str) -> str:
    """A token that goes into a header; empty if it is not set. Raises Misconfigured, without the value."""
    value = environ.get(name, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise Misconfigured(f"environment variable {name} has characters that no HTTP header can have")
    return value


def address(
    environ: Mapping[str, str], name: str, *, schemes: tuple[str, str] = ("http", "https")
) -> SplitResult | None:
    """The URL in a variable; None if it is not set. `schemes`: the one in clear, and the one with TLS.

    In clear only this machine may be spoken to: contents and tokens could be read on the way. ALLOW_INSECURE_URLS=1
    allows it for all, for instance to a neighbouring container. Raises Misconfigured.
    """
    text = environ.get(name, "")
    if not text:
        return None
    try:
        url = urlsplit(text)
        good = url.scheme in schemes and bool(url.hostname) and url.port != 0 and text.isascii() and text.isprintable()
    except ValueError:
        good = False
    if not good or " " in text:  # without the value: it may hold a password
        raise Misconfigured(f"environment variable {name} is not a URL that begins with {' or '.join(schemes)}")
    if url.scheme != schemes[1] and not may_speak_in_clear(environ, url.hostname or ""):
        raise Misconfigured(
            f"environment variable {name} leads to another machine in clear: use {schemes[1]}, or allow it with "
            "ALLOW_INSECURE_URLS=1"
        )
    return url


def may_speak_in_clear(environ: Mapping[str, str], host: str) -> bool:
    """True if the host is this machine, or the operator allows it for others."""
    if environ.get("ALLOW_INSECURE_URLS") == "1" or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def endpoint(environ: Mapping[str, str]) -> str | None:
    """AWS_SQS_ENDPOINT_URL, this application's name for the endpoint of SQS; None: as boto3 finds it."""
    url = address(environ, "AWS_SQS_ENDPOINT_URL")
    return url.geturl() if url else None


def region(environ: Mapping[str, str]) -> str | None:
    """AWS_REGION, which Lambda and ECS set and boto3 does not read; None: as boto3 finds it."""
    return environ.get("AWS_REGION") or None


def speak_up(environ: Mapping[str, str]) -> None:
    """With DEBUG=1, log each message and each delivery, by batch id and place: no content, no address."""
    if environ.get("DEBUG") != "1":
        return
    LOG.setLevel(logging.DEBUG)
    if not LOG.hasHandlers():  # in a handler process; an application that logs has its own
        LOG.addHandler(logging.StreamHandler())
