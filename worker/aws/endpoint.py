"""Poller process: where requests to SQS go, as botocore's config and rules say; and what only boto3 can do there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import BotoCoreError, NoRegionError
from botocore.httpsession import where
from botocore.utils import get_environ_proxies, is_valid_endpoint_url, is_valid_ipv6_endpoint_url, validate_region_name

_SERVICE = "sqs"
_PORTS = {"http": 80, "https": 443}
#: Paths that are sent and signed as they stand; of others urllib3 and botocore have opinions of their own.
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*/?")
#: botocore's config variables that change how its SQS client signs or speaks, if they are set.
_OF_BOTO3 = ("sigv4a_signing_region_set", "auth_scheme_preference", "data_path")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go, and how they are signed."""

    url: str
    region: str
    service: str = _SERVICE  #: as it is signed
    bundle: str = ""  #: path of the certificates that are trusted

    @property
    def tls(self) -> bool:
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        """Without the brackets of an IPv6 address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def authority(self) -> str:
        """The Host header: without a port that the scheme has anyway."""
        parts = urlsplit(self.url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if parts.port in (None, _PORTS[parts.scheme]) else f"{host}:{parts.port}"

    @property
    def path(self) -> str:
        return urlsplit(self.url).path or "/"


def find(session: botocore.session.Session, *, region: str | None, given: str | None) -> Endpoint:
    """The endpoint that a boto3 client of this session has. Raises BotoCoreError, or ValueError for a bad URL."""
    region = region or session.get_config_variable("region")
    validate_region_name(region)
    if not region:
        raise NoRegionError
    url = given or _configured(session) or _by_rules(session, region)
    if not is_valid_endpoint_url(url) and not is_valid_ipv6_endpoint_url(url):
        raise ValueError(f"Invalid endpoint: {url}")
    return Endpoint(url, region, bundle=_bundle(session))


def needs_boto3(session: botocore.session.Session, endpoint: Endpoint) -> str:
    """Why only boto3 can speak with this endpoint; empty if the lean client can."""
    parts = urlsplit(endpoint.url)
    if parts.scheme not in _PORTS or parts.query or parts.fragment or parts.username is not None:
        return "the endpoint's URL has more than a host, a port and a path"
    if not (endpoint.host.isascii() and _PLAIN_PATH.fullmatch(parts.path)):
        return "the endpoint's URL has a host or a path out of the ordinary"
    if get_environ_proxies(endpoint.url).get(parts.scheme):
        return "a proxy is set for the endpoint"
    if "fips" in endpoint.region:
        return f"{endpoint.region} is a name for a region that only boto3 resolves"
    for name in _OF_BOTO3:
        if session.get_config_variable(name):
            return f"the AWS config sets {name}"
    for name in (_SERVICE, "plugins"):
        if session.get_scoped_config().get(name):
            return f"the AWS profile has a section {name}"
    if os.environ.get("AWS_EXPERIMENTAL_PLUGINS"):
        return "AWS_EXPERIMENTAL_PLUGINS is set"
    models = Path(session.get_component("data_loader").CUSTOMER_DATA_PATH)
    return f"{models} has models of its own" if models.is_dir() else ""


def _configured(session: botocore.session.Session) -> str | None:
    """What the environment, the profile or its `services` section say, unless they are to be ignored."""
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    found: str | None = ConfiguredEndpointProvider(
        full_config=session.full_config, scoped_config=session.get_scoped_config(), client_name=_SERVICE
    ).provide()
    return found


def _by_rules(session: botocore.session.Session, region: str) -> str:
    """By the partition of the region, FIPS and dual-stack: the rules that AWS ships with botocore."""
    loader = session.get_component("data_loader")
    rules = loader.load_service_model(_SERVICE, "endpoint-rule-set-1")
    provider = EndpointProvider(rules, loader.load_data("partitions"))
    options: dict[str, Any] = {
        "UseFIPS": bool(session.get_config_variable("use_fips_endpoint")),
        "UseDualStack": bool(session.get_config_variable("use_dualstack_endpoint")),
    }
    url: str = provider.resolve_endpoint(Region=region, **options).url
    return url


def _bundle(session: botocore.session.Session) -> str:
    bundle = session.get_config_variable("ca_bundle")
    if bundle is None:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE", where())
    if not bundle.strip():
        raise _NoBundle
    return str(bundle)


class _NoBundle(BotoCoreError):
    fmt = "the CA bundle of the AWS config is an empty string"
