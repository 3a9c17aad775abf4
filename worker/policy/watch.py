"""Pure rules: which poller is stuck. It is judged by what it has completed, never by being late to answer."""

from __future__ import annotations

from worker.settings import POLL_GRACE


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
    """Why a poller that was READY has to be replaced, or "" if it need not.

    `progress` and `received_at` are when its loop last moved and its last receive completed (0.0: never yet), and no
    receive is due before `quiet_until`; all in seconds of one clock. Nothing is held against it that is older than
    `fair_from`: its READY, or the moment at which a suspended machine or a stopped pool came back.
    """
    # Heartbeats are due every third of the visibility timeout: one may have been missed, two are left for a successor.
    limit = visibility_timeout / 3
    still = now - max(progress, fair_from)
    if still > limit:
        return f"no progress for {still:.1f} s, the limit is {limit:.1f} s"
    limit = 3 * (wait + POLL_GRACE)
    unheard = now - max(received_at, quiet_until, fair_from)
    if unheard > limit:
        return f"no completed receive for {unheard:.1f} s, the limit is {limit:.1f} s"
    return ""
