"""Poller process: one queue's credentials, region and endpoint, as botocore finds them, and boto3's clients.

Two of these for SQS, so that a stuck long poll never delays a beat or a delete. They are botocore's, which boto3 would
only wrap: `import boto3` costs a poller's start a tenth of a second.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from worker.aws import endpoint
from worker.aws.credentials import LiveCredentials
from worker.aws.errors import Refused, failure_of, refuse_what_is_not_json
from worker.settings import POLL_GRACE, QueueSettings, Settings, in_clear

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_sqs import SQSClient

#: Seconds until a connection, or an answer of a control call, counts as failed: well below any lease margin.
CONNECT_TIMEOUT = 3.0
CONTROL_TIMEOUT = 5.0
#: botocore's own tries of a control call: none beside ours, which know the lease that a call is about. The mode is
#: named because its default changed between releases.
CONTROL_ATTEMPTS = 1
#: The same of PutMetricData, which nobody waits for.
METRIC_ATTEMPTS = 2

#: A boto3 client of any service.
_Client = TypeVar("_Client", bound=Any)

_REGION = re.compile(r"https://sqs\.([a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws)/")


class Unusable(Exception):
    """The settings cannot make a client: no region, an unknown profile, a bad endpoint, or one in clear."""


class Session:
    """Of one queue: with its role, its region, the endpoint of the settings. Raises Unusable."""

    def __init__(self, settings: Settings, queue: QueueSettings) -> None:
        named = _REGION.match(queue.url)
        self._region = settings.region or (named.group(1) if named else None)
        self._given = settings.endpoint_url or None
        self._allow_insecure = settings.allow_insecure_endpoint
        self._queue = queue
        try:
            self.botocore = self._new()
            self.endpoint = endpoint.find(self.botocore, region=self._region, given=self._given)
            #: Why only boto3 can speak with the endpoint; empty if the lean client can.
            self.obstacle = endpoint.needs_boto3(self.botocore, self.endpoint)
            self._check(self.endpoint.url)
            own = LiveCredentials(lambda: self._new().get_credentials())
            self._credentials = LiveCredentials(partial(self._assumed, queue.role_arn, own)) if queue.role_arn else own
            self.botocore._credentials = self._credentials  # type: ignore[attr-defined]  # botocore has no public way
        except (BotoCoreError, ValueError) as error:
            # Without a region, for one; the key in the config helps as well as the environment.
            raise Unusable(f"{error} (set region in [worker], AWS_DEFAULT_REGION, or a profile)") from error

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
        """The value of an SSM parameter, decrypted if it is a SecureString. Raises Refused."""
        config = Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=CONTROL_TIMEOUT)
        try:
            client: Any = self._checked(self.botocore.create_client("ssm", config=config), self._credentials)
            return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
        except (ClientError, BotoCoreError) as error:
            raise Refused(failure_of(error)) from error

    def metrics(self) -> CloudWatchClient:
        """For PutMetricData, from any thread: of a session of its own, with the pool's credentials and no role.

        Raises Unusable.
        """
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=CONTROL_TIMEOUT,
            retries={"total_max_attempts": METRIC_ATTEMPTS, "mode": "standard"},
        )
        try:
            inner = self._new()
            credentials = LiveCredentials(lambda: self._new().get_credentials())
            inner._credentials = credentials  # type: ignore[attr-defined]  # botocore has no public way
            client: Any = self._checked(inner.create_client("cloudwatch", config=config), credentials)
            return cast("CloudWatchClient", client)
        except (BotoCoreError, ValueError) as error:
            raise Unusable(str(error)) from error

    def _sqs(self, **options: Any) -> SQSClient:
        config = Config(connect_timeout=CONNECT_TIMEOUT, tcp_keepalive=True, user_agent_extra="worker", **options)
        try:
            client: Any = self.botocore.create_client("sqs", endpoint_url=self._given, config=config)
            client.meta.events.register("after-call.sqs", refuse_what_is_not_json)
            return cast("SQSClient", self._checked(client, self._credentials))
        except (BotoCoreError, ValueError) as error:
            raise Unusable(str(error)) from error

    def _checked(self, client: _Client, credentials: LiveCredentials) -> _Client:
        """Not one in clear; what it is refused, `credentials` are told."""
        self._check(client.meta.endpoint_url)
        client.meta.events.register("after-call", credentials.judge)
        return client

    def _check(self, url: str) -> None:
        """Raise Unusable if what is sent there can be read on its way: session tokens, bodies, receipts.

        worker.config has judged its own keys and the environment; botocore finds endpoints in its config files as well.
        """
        if in_clear(url) and not self._allow_insecure:
            remedy = "use https, or allow it with allow_insecure_endpoint = true in [worker]"
            raise Unusable(f"the endpoint {url} of the AWS config is plain http to another machine: {remedy}")

    def _new(self) -> botocore.session.Session:
        session = botocore.session.get_session()
        if self._region:
            session.set_config_variable("region", self._region)
        return session

    def _assumed(self, role_arn: str, source: LiveCredentials) -> DeferredRefreshableCredentials:
        """The role's credentials, fetched when first needed and refreshed before they expire."""
        inner = self._new()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=lambda *service, **options: self._checked(inner.create_client(*service, **options), source),
            source_credentials=source,
            role_arn=role_arn,
            extra_args={"RoleSessionName": "worker"},
        )
        return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
