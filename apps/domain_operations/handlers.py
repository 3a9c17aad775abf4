"""Handler process: messages of the domain queue become zones in Route 53, rows in DynamoDB and entries of domains.json.

A message that can never be done is rejected, with the reason. All else that fails is a retry, which goes on where the
attempt before stopped; see operations.py.
"""

from __future__ import annotations

import os
import random
import time
from functools import cache

from botocore.exceptions import ClientError

from apps.domain_operations import clients
from apps.domain_operations.domains_file import Contended, DomainsFile
from apps.domain_operations.logs import say
from apps.domain_operations.operations import Busy, Operations
from apps.domain_operations.rules import BadChange, ahead, backoff, read
from apps.domain_operations.table import DomainTable, Overtaken
from apps.domain_operations.zones import Zones
from worker import Message, Reject, Retry

DOMAIN_TABLE = clients.required("DOMAIN_TABLE", "the DynamoDB table of domains, key `domain`")
DOMAINS_BUCKET = clients.required("DOMAINS_BUCKET", "the S3 bucket that has domains.json")
ROUTE53_ROLE_ARN = os.environ.get("ROUTE53_ROLE_ARN", "")

#: Seconds, the longest time that a throttled message is hidden; it doubles with each receive, of which there are three.
_THROTTLED, _MOST = 60.0, 900.0


def change_domain(message: Message) -> None:
    """Activate or deactivate a domain. A message that is stale, or repeated, changes nothing and is acked."""
    try:
        change = read(message.body)
    except BadChange as error:
        raise Reject(str(error)) from None
    if seconds := ahead(change, sent_at=message.sent_at or time.time()):
        # Done all the same; but until then all later changes of this domain will be stale.
        say("warning", "timestamp_ahead", message=message.id, domain=change.domain, seconds=round(seconds))
    try:
        _operations().apply(change, owner=message.id)
    except Busy as error:
        raise Retry(after=error.seconds, reason=f"{change.domain}: {error}") from None
    except (Contended, Overtaken) as error:
        raise Retry(after=_pause(message), reason=str(error)) from None
    except ClientError as error:
        if not clients.throttled(error):
            raise
        raise Retry(after=_pause(message), reason=f"{change.domain}: {error.operation_name} is throttled") from None


@cache
def _operations() -> Operations:
    """Made at first use, in the process that uses it; its connections are kept."""
    return Operations(
        table=DomainTable(clients.dynamodb(), DOMAIN_TABLE),
        zones=Zones(clients.route53(ROUTE53_ROLE_ARN)),
        file=DomainsFile(clients.s3(), DOMAINS_BUCKET),
    )


def _pause(message: Message) -> float:
    """At least half of the longest: a message that comes back at once would meet the same crowd."""
    chance = random.uniform(0.5, 1.0)  # noqa: S311 - spreads messages over time, hides nothing
    return backoff(message.receive_count, first=_THROTTLED, most=_MOST, chance=chance)
