"""Where requests go: what boto3's own client would send, and where it would send it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError

from worker.aws.endpoint import Endpoint, find, needs_boto3

REGIONS = sorted(
    {
        region
        for partition in botocore.session.get_session().get_available_partitions()
        for region in botocore.session.get_session().get_available_regions("sqs", partition)
    }
    | {"eu-nowhere-7", "us-isof-south-1", "cn-north-1", "eusc-de-east-1"}
)
SWITCHES = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keys, and a config file that a test may write; nothing else of the machine's."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_DEFAULT_REGION", *SWITCHES):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "config"


#: Scheme, host, port and path of a request, and the region and service it is signed for.
Sent = tuple[str, str | None, int, str, str, str]


def sent(url: str, region: str, service: str) -> Sent:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return parts.scheme, parts.hostname, port, parts.path, region, service


def botocores(session: botocore.session.Session, region: str | None, given: str | None) -> Sent:
    """A request that a botocore client would send; the queue's URL leads elsewhere."""
    client = session.create_client("sqs", region_name=region, endpoint_url=given)
    requests: list[Any] = []

    def instead(request: Any, **_: Any) -> AWSResponse:
        requests.append(request)
        answer = AWSResponse(request.url, 200, {}, None)
        answer._content = b"{}"
        return answer

    client.meta.events.register("before-send.sqs", instead)
    client.receive_message(QueueUrl="https://queue.elsewhere.example.com/1/q")
    client.close()
    scope = str(requests[0].headers["Authorization"]).split("Credential=")[1].split(",")[0].split("/")
    return sent(requests[0].url, scope[2], scope[3])


def ours(session: botocore.session.Session, region: str | None, given: str | None) -> Sent:
    """The same of ours."""
    found = find(session, region=region, given=given)
    assert needs_boto3(session, found) == ""
    url = sent(f"{'https' if found.tls else 'http'}://{found.authority}{found.path}", found.region, found.service)
    assert url[1:3] == (found.host, found.port)
    return url


def both(session: botocore.session.Session, region: str | None, given: str | None = None) -> tuple[Any, Any]:
    """Ours and botocore's; the word "refused" for each that is an error."""
    results: list[Any] = []
    for way in (ours, botocores):
        try:
            results.append(way(session, region, given))
        except (BotoCoreError, ValueError):
            results.append("refused")
    return results[0], results[1]


@pytest.mark.parametrize("switches", [(), SWITCHES[:1], SWITCHES[1:], SWITCHES], ids=["plain", "fips", "dual", "both"])
def test_every_region_has_botocores_endpoint(monkeypatch: pytest.MonkeyPatch, switches: tuple[str, ...]) -> None:
    """All partitions, regions that do not exist yet, FIPS and dual-stack.

    botocore asks an older table as well, which refuses dual-stack in a few partitions whose rules have it.
    """
    for switch in switches:
        monkeypatch.setenv(switch, "true")
    session = botocore.session.get_session()
    found = [both(session, region) for region in REGIONS]
    differ = [(one, other) for one, other in found if one != other]
    assert len(REGIONS) > 30
    assert len(differ) <= 3 * len(switches)
    assert all(other == "refused" and "-iso" in one[4] for one, other in differ)


@pytest.mark.parametrize(
    "given",
    [
        *(
            "http://localhost:4566",
            "http://127.0.0.1:80/",
            "https://sqs.example.com:443",
            "https://sqs.example.com:8443",
        ),
        *("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com", "http://[::1]:4566", "https://Proxy.Example.com/sqs/"),
        *("https://proxy.example.com/sqs", "nonsense", "ftp//x"),
    ],
)
def test_a_given_endpoint_is_botocores(given: str) -> None:
    """Scheme, host, port and path; what is no URL is refused."""
    one, other = both(botocore.session.get_session(), "eu-west-1", given)
    assert one == other


@pytest.mark.parametrize(
    ("environment", "config"),
    [
        ({"AWS_ENDPOINT_URL": "http://localhost:1"}, ""),
        ({"AWS_ENDPOINT_URL": "http://localhost:1", "AWS_ENDPOINT_URL_SQS": "http://localhost:2"}, ""),
        ({"AWS_ENDPOINT_URL": "http://localhost:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, ""),
        ({"AWS_ENDPOINT_URL_SQS": "http://localhost:2", "AWS_USE_FIPS_ENDPOINT": "true"}, ""),
        ({}, "[default]\nregion = eu-north-1\nendpoint_url = http://localhost:3\n"),
        ({}, "[default]\nservices = mine\n[services mine]\nsqs =\n  endpoint_url = http://localhost:4\n"),
        ({"AWS_PROFILE": "p"}, "[profile p]\nregion = us-gov-west-1\nuse_fips_endpoint = true\n"),
        ({"AWS_PROFILE": "none"}, "[default]\nregion = eu-north-1\n"),
        ({"AWS_DEFAULT_REGION": "ap-south-2"}, "[default]\nregion = eu-north-1\n"),
        ({"AWS_DEFAULT_REGION": "not/a/region"}, ""),
        ({}, ""),
    ],
)
def test_config_and_environment_mean_what_they_mean_to_botocore(
    monkeypatch: pytest.MonkeyPatch, plain_environment: Path, environment: dict[str, str], config: str
) -> None:
    """Profiles, `services` sections, variables for all services and for one, and no region at all."""
    plain_environment.write_text(config)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    session = botocore.session.get_session()
    for region in (None, "eu-west-3"):
        one, other = both(session, region)
        assert one == other


@pytest.mark.parametrize(
    ("url", "environment", "config", "why"),
    [
        ("https://sqs.eu-west-1.amazonaws.com", {"HTTPS_PROXY": "http://localhost:1"}, "", "a proxy"),
        ("http://localhost:4566", {"http_proxy": "http://localhost:1"}, "", "a proxy"),
        ("https://user@host.example.com", {}, "", "more than a host"),
        ("https://host.example.com/a?b=c", {}, "", "more than a host"),
        ("https://host.example.com/a/../b", {}, "", "out of the ordinary"),
        ("https://host.example.com/a%20b", {}, "", "out of the ordinary"),
        ("https://h", {}, "[default]\nsqs =\n  signature_version = v4\n", "a section sqs"),
        ("https://h", {}, "[default]\nsigv4a_signing_region_set = *\n", "sigv4a_signing_region_set"),
        ("https://h", {"AWS_AUTH_SCHEME_PREFERENCE": "sigv4a"}, "", "auth_scheme_preference"),
        ("https://h", {"AWS_DATA_PATH": "/models"}, "", "data_path"),
    ],
)
def test_what_only_boto3_can_do_is_named(
    monkeypatch: pytest.MonkeyPatch,
    plain_environment: Path,
    url: str,
    environment: dict[str, str],
    config: str,
    why: str,
) -> None:
    """Proxies, odd URLs, other ways to sign, own models."""
    plain_environment.write_text(config)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert why in needs_boto3(botocore.session.get_session(), Endpoint(url, "eu-west-1"))


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("https://sqs.eu-west-1.amazonaws.com", {"HTTP_PROXY": "http://localhost:1"}),
        ("https://sqs.eu-west-1.amazonaws.com", {"HTTPS_PROXY": "http://localhost:1", "NO_PROXY": ".amazonaws.com"}),
        ("http://localhost:4566", {"http_proxy": "http://localhost:1", "no_proxy": "localhost"}),
    ],
)
def test_a_proxy_that_is_not_for_the_endpoint_is_none(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str]
) -> None:
    """NO_PROXY, or the other scheme's."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert needs_boto3(botocore.session.get_session(), Endpoint(url, "eu-west-1")) == ""


def test_models_of_the_users_own_are_for_boto3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They may change what SQS is: botocore reads ~/.aws/models."""
    session = botocore.session.get_session()
    monkeypatch.setattr(session.get_component("data_loader"), "CUSTOMER_DATA_PATH", str(tmp_path), raising=False)
    assert "models of its own" in needs_boto3(session, Endpoint("https://h", "eu-west-1"))
