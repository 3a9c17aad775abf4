"""Poller process: boto3 clients. Two for SQS, so that a stuck long poll never delays a beat or a delete."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError

from worker.aws.credentials import LiveCredentials
from worker.aws.errors import refuse_what_is_not_json
from worker.settings import POLL_GRACE, QueueSettings, Settings, in_clear

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: Seconds until a connection, or an answer of a control call, counts as failed: well below any lease margin.
CONNECT_TIMEOUT = 3.0
CONTROL_TIMEOUT = 5.0
#: botocore's own tries of a control call: none beside ours, which know the lease that a call is about. The mode is
#: named because its default changed between releases.
CONTROL_ATTEMPTS = 1

#: A boto3 client of any service.
_Client = TypeVar("_Client", bound=Any)

_REGION = re.compile(r"https://sqs\.([a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws)/")


class Unusable(Exception):
    """The settings cannot make a client: no region, an unknown profile, a bad endpoint, or one in clear."""


class Session:
    """Makes the clients of one queue: with its role, its region, the endpoint of the settings. Raises Unusable."""

    def __init__(self, settings: Settings, queue: QueueSettings) -> None:
        named = _REGION.match(queue.url)
        self._region = settings.region or (named.group(1) if named else None)
        self._endpoint = settings.endpoint_url or None
        self._allow_insecure = settings.allow_insecure_endpoint
        self._queue = queue
        try:
            self._credentials = LiveCredentials()
            found = self._assumed(queue.role_arn) if queue.role_arn else self._credentials
            inner = botocore.session.get_session()
            inner._credentials = found  # type: ignore[attr-defined]  # botocore has no public way
            self._session = boto3.session.Session(botocore_session=inner, region_name=self._region)
        except BotoCoreError as error:
            raise Unusable(str(error)) from error

    def receiving(self, polls: int) -> SQSClient:
        """For long polls: one attempt, since the receiver owns the loop; an answer may take wait + 5 s."""
        return self._sqs(
            read_timeout=self._queue.wait + POLL_GRACE,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=polls,
        )

    def controlling(self, calls: int) -> SQSClient:
        """For deletes, beats, sends and look-ups: short, one attempt; the actors try again."""
        return self._sqs(
            read_timeout=CONTROL_TIMEOUT,
            retries={"total_max_attempts": CONTROL_ATTEMPTS, "mode": "standard"},
            max_pool_connections=calls,
        )

    def parameter(self, name: str) -> str:
        """The value of an SSM parameter, decrypted if it is a SecureString. Raises what boto3 raises."""
        config = Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=CONTROL_TIMEOUT)
        client = self._checked(self._session.client("ssm", config=config))
        return client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]

    def _sqs(self, **options: Any) -> SQSClient:
        config = Config(connect_timeout=CONNECT_TIMEOUT, tcp_keepalive=True, user_agent_extra="worker", **options)
        try:
            client = self._checked(self._session.client("sqs", endpoint_url=self._endpoint, config=config))
            client.meta.events.register("after-call.sqs", refuse_what_is_not_json)
            return client
        except (BotoCoreError, ValueError) as error:
            # Without a region, for one; the key in the config helps as well as the environment.
            raise Unusable(f"{error} (set region in [worker], AWS_DEFAULT_REGION, or a profile)") from error

    def _checked(self, client: _Client) -> _Client:
        """The client, unless what it sends can be read on its way: session tokens, bodies, receipts.

        worker.config has judged its own keys and the environment; boto3 finds endpoints in its config files as well.
        """
        client.meta.events.register("after-call", self._credentials.judge)
        url = client.meta.endpoint_url
        if in_clear(url) and not self._allow_insecure:
            remedy = "use https, or allow it with allow_insecure_endpoint = true in [worker]"
            raise Unusable(f"the endpoint {url} of the AWS config is plain http to another machine: {remedy}")
        return client

    def _assumed(self, role_arn: str) -> DeferredRefreshableCredentials:
        """The role's credentials, fetched when first needed and refreshed before they expire."""
        inner = botocore.session.get_session()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=lambda *service, **options: self._checked(inner.create_client(*service, **options)),
            source_credentials=self._credentials,
            role_arn=role_arn,
            extra_args={"RoleSessionName": "worker"},
        )
        return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
