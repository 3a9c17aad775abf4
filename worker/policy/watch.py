"""Pure rules: which poller is stuck. It is judged by what it has completed, never by being late to answer."""

from __future__ import annotations

from worker.settings import POLL_GRACE

#: Seconds a poller may take from its start until it first tells of its progress: the import of boto3 on a busy machine.
BOOT = 60.0


def stuck(
    *,
    progress: float,
    received_at: float,
    quiet_until: float,
    fair_from: float,
    now: float,
    visibility_timeout: float,
    wait: float,
) -> str:
    """Why a poller has to be replaced, or "" if it need not.

    `progress` and `received_at` are when its loop last moved and its last receive completed (0.0: never yet), no receive
    is due before `quiet_until`; all in seconds of one clock. Nothing is held against it that is older than `fair_from`:
    its start, or the moment at which a suspended machine or a stopped pool came back.
    """
    limit = visibility_timeout / 3 if progress else BOOT
    still = now - max(progress, fair_from)
    if still > limit:
        # Heartbeats are due every third of the visibility timeout: one was missed, and two are left for a successor.
        return f"no progress for {still:.1f} s, the limit is {limit:.1f} s"
    if not progress:
        return ""
    limit = 3 * (wait + POLL_GRACE)
    unheard = now - max(received_at, quiet_until, fair_from)
    if unheard > limit:
        return f"no completed receive for {unheard:.1f} s, the limit is {limit:.1f} s"
    return ""
