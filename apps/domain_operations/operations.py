"""Handler process: one change of one domain, in steps that a successor can go on from, wherever its predecessor died.

    claim the row         no other message is at work on the domain; an activation has its generation from here on
    zone                  looked up by its recorded id, then by its references; made or deleted
    record the zone       in the row
    domains.json          says what the row is going to say
    finish the row        status, timestamp and idempotency key in one conditional write, which also ends the claim

The claim is the message's: when its handler process is killed, the next attempt of the same message goes on at once.
Other messages of the domain wait for the claim's end.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from apps.domain_operations.domains_file import DomainsFile
from apps.domain_operations.logs import say
from apps.domain_operations.rules import CLAIM, Change, Row, Verdict, claimed, finished, released, settled, verdict
from apps.domain_operations.table import DomainTable, Overtaken
from apps.domain_operations.zones import ReferenceUsed, Zone, Zones

#: Seconds that a message waits here for another one of its domain, which takes one or two as a rule.
PATIENCE = 10.0
_LOOK = 0.5  #: seconds, the longest pause between two looks
#: Seconds to wait for a zone that Route 53 says it has made, and does not list.
_UNLISTED = (1.0, 2.0, 4.0)


class Busy(Exception):
    """Another message is at work on the domain, for `seconds` more at most."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"another message is at work on this domain, for {seconds:.0f} s more at most")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What a change needs. `sleep`, `clock` (seconds since 1970) and `patience` (seconds) are for tests to replace."""

    table: DomainTable
    zones: Zones
    file: DomainsFile
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    patience: float = PATIENCE

    def apply(self, change: Change, *, owner: str) -> Verdict:
        """Make the change, if it still counts; `owner` is the id of its message. GO says that it is made.

        Raises Busy, Overtaken, Contended, BrokenRow, BrokenFile and ClientError; another attempt goes on from there.
        """
        judgement, row = self._claim(change, owner=owner)
        if judgement is not Verdict.GO:
            say("info", f"domain_{judgement.value}", message=owner, domain=change.domain, action=change.action)
            self._repair(row, owner=owner)
            return judgement
        try:
            row = self._activate(row) if change.action == "activate" else self._deactivate(row, owner=owner)
            after = finished(row, change)
            self.file.put(after)
            after = self.table.write(after)
        except Exception:
            # Best effort: without it others wait for the end of the claim. Overtaken: it is somebody else's by now.
            with suppress(Exception):
                self.table.write(released(self._own(row, owner=owner)))
            raise
        say("info", f"domain_{after.status}", message=owner, domain=row.domain, zone=after.hosted_zone_id)
        return judgement

    def _repair(self, row: Row, *, owner: str) -> None:
        """Make domains.json say what the row says, if nobody is at work on the domain.

        It says something else after a writer that was frozen for longer than its claim: it wrote the file, and found
        its row overtaken. Its message comes here then, as stale.
        """
        now = self.clock()
        held = row.claimed_by not in (None, owner) and (row.claimed_until or 0.0) > now
        if held or not settled(row) or self.file.says(row):
            return
        with suppress(Overtaken):  # whoever was faster writes the file too
            row = self.table.write(replace(row, claimed_by=owner, claimed_until=now + CLAIM))
            say("warning", "domains_json_repaired", message=owner, domain=row.domain)
            self.file.put(row)
            self.table.write(released(row))

    def _claim(self, change: Change, *, owner: str) -> tuple[Verdict, Row]:
        """GO and the claimed row; or why not, and the row."""
        end = self.clock() + self.patience
        while True:
            row, now = self.table.read(change.domain), self.clock()
            judgement = verdict(row, change, owner=owner, now=now)
            if judgement in {Verdict.STALE, Verdict.REPEATED}:
                return judgement, row
            if judgement is Verdict.GO:
                with suppress(Overtaken):  # another message was faster: look again
                    row = self.table.write(claimed(row, change, owner=owner, now=now))
                    # DynamoDB has one winner. moto checks and writes in two steps, and tells two that they won: the
                    # first of them finds the other's name here.
                    if self.table.read(change.domain).claimed_by == owner:
                        return judgement, row
            if now >= end:
                raise Busy(max(1.0, (row.claimed_until or now) - now))
            self.sleep(_LOOK * random.random())  # noqa: S311 - spreads those who wait, hides nothing

    def _own(self, row: Row, *, owner: str) -> Row:
        """The row as it is, if it is still the claim's. Raises Overtaken."""
        now = self.table.read(row.domain)
        if now.claimed_by != owner:
            raise Overtaken(f"the row of {row.domain} is not claimed by message {owner} any more")
        return now

    def _activate(self, row: Row) -> Row:
        """The row with its zone, which exists."""
        zone = self.zones.find(row)
        if zone is None and row.hosted_zone_id:  # deleted by hand: its reference is used up
            row = self._next_generation(row)
        if zone is None:
            try:
                zone = self.zones.create(row)
            except ReferenceUsed:
                zone = self._unlisted(row)
        if zone is None:
            # Made for this reference and deleted since, by others than us.
            row = self._next_generation(row)
            zone = self.zones.create(row)
        return self._recorded(row, zone)

    def _deactivate(self, row: Row, *, owner: str) -> Row:
        """The row without its zone; or with it, if it holds more than its own NS and SOA."""
        zone = self.zones.find(row)
        if zone is None or self.zones.delete(zone, row.domain):
            return self._recorded(row, None)
        say(
            "warning",
            "zone_kept",
            message=owner,
            domain=row.domain,
            zone=zone.id,
            reason="it holds more than NS and SOA",
        )
        return self._recorded(row, zone)

    def _unlisted(self, row: Row) -> Zone | None:
        """The zone of a reference that is used, once Route 53 lists it."""
        for pause in _UNLISTED:
            self.sleep(pause)
            if zone := self.zones.find(row):
                return zone
        return None

    def _next_generation(self, row: Row) -> Row:
        """Written before the zone is made, so that a successor knows the reference to look for."""
        return self.table.write(replace(row, generation=row.generation + 1, hosted_zone_id=None, name_servers=()))

    def _recorded(self, row: Row, zone: Zone | None) -> Row:
        """The row with this zone, written if that is news."""
        new = replace(
            row, hosted_zone_id=zone.id if zone else None, name_servers=tuple(zone.name_servers) if zone else ()
        )
        return row if new == row else self.table.write(new)
