"""Command line: what a run says at its end, as text and as JSON."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from typing import Any

from chaos.recovery import Recovery, percentile
from chaos.run import Result

#: What the promises allow, in seconds at the 99th percentile, for a kill that comes alone.
TARGETS = {"handler": 0.250, "poller": 1.0}


def text(result: Result) -> str:
    """The whole report."""
    verdict, options = result.verdict, result.options
    counts = verdict.counts
    kills = sum(count for (kind, _), count in result.struck.items() if kind == "kill")
    broker = sum(count for (kind, _), count in result.struck.items() if kind == "broker")
    lines = [
        f"{'VALID' if verdict.valid else 'NOT VALID'}: {counts['attempted']:,} messages, {kills:,} SIGKILLs, "
        f"{broker:,} broker faults, {result.struck.total() - kills - broker:,} other faults",
        "",
        f"  queue {'fifo' if options.fifo else 'standard'}, seed {options.seed}, storm {result.storm_seconds:.0f} s, "
        f"run {result.all_seconds:.0f} s, {machine()}, cores {result.busy:.0%} busy during the storm",
        f"  throughput in the storm {result.storm_effects / max(result.storm_seconds, 1e-9):,.0f} effects/s",
        "",
        _row("confirmed", counts["confirmed"], "attempted", counts["attempted"]),
        _row("lost", counts.get("lost", 0), "unexpected", counts.get("unexpected", 0)),
        _row("recovered", counts["recovered"], "dead-lettered", counts["dead_lettered"]),
        _row("effects", counts["effects"], "executions", counts["executions"]),
        _row("duplicated", counts["duplicated"], "unattributed", verdict.duplicated["unattributed"]),
        _row("leases run out", counts["lapsed"], "unattributed", verdict.lapsed["unattributed"]),
        _row("two at once", counts["met"], "unattributed", verdict.met["unattributed"]),
        _row("order inverted", counts["inverted"], "unattributed", verdict.inverted["unattributed"]),
        _row("left in flight", counts["left_in_flight"], "by drains", len(verdict.violations.get("unclean drain", ()))),
        "",
        f"  messages    {_equation(verdict.messages)}",
        f"  deliveries  {_equation(verdict.deliveries)}",
        "",
        *_causes("duplicates by cause", verdict.duplicated),
        *_causes("leases run out by cause", verdict.lapsed),
        "faults",
        *[f"  {count:>7,}  {kind} {role}" for (kind, role), count in sorted(result.struck.items())],
        f"  {result.hits.total():>7,}  requests hit by the broker's faults; {result.oom_kills:,} out-of-memory kills; "
        f"{result.restarts:,} restarts of the pool, exit codes {dict(result.codes)}",
        "",
        *_recoveries(result.recoveries),
        *_probes(result.probes),
    ]
    for kind, examples in verdict.violations.items():
        lines += ["", f"VIOLATED: {kind} ({counts.get(kind, len(examples)):,})", *[f"  {one}" for one in examples]]
    return "\n".join(lines)


def machine() -> str:
    """The machine, for whoever reads the figures later."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _row(name: str, value: int, other: str, value2: int) -> str:
    return f"  {name:<16}{value:>12,}   {other:<16}{value2:>12,}"


def _equation(terms: dict[str, int]) -> str:
    (whole, total), *parts = terms.items()
    return f"{total:,} {whole} = " + " + ".join(f"{count:,} {name}" for name, count in parts)


def _causes(title: str, causes: Counter[str]) -> list[str]:
    if not causes:
        return []
    return [title, *[f"  {count:>7,}  {cause}" for cause, count in causes.most_common()], ""]


def _recoveries(recoveries: Sequence[Recovery]) -> list[str]:
    lines = ["seconds from SIGKILL until made good         p50      p99      max   kills"]
    for role, row in summaries(recoveries).items():
        for name, figures in row.items():
            if figures["count"]:
                p50, p99, worst = figures["p50"], figures["p99"], figures["max"]
                lines.append(f"  {role:<8} {name:<32}{p50:>7.3f}  {p99:>7.3f}  {worst:>7.3f}  {figures['count']:>6,}")
    return [*lines, ""]


def summaries(recoveries: Sequence[Recovery]) -> dict[str, dict[str, dict[str, float]]]:
    """By role, the figures of all kills, and of those that came alone, with and without contention for the cores."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for role in TARGETS:
        mine = [one for one in recoveries if one.role == role]
        alone = [one for one in mine if one.alone]
        found[role] = {
            "in the storm": _figures(mine),
            "alone": _figures(alone),
            "alone, cores free": _figures([one for one in alone if not one.contended]),
            "alone, cores contended": _figures([one for one in alone if one.contended]),
        }
    return found


def _figures(recoveries: Sequence[Recovery]) -> dict[str, float]:
    seconds = [one.seconds for one in recoveries]
    return {
        "count": len(seconds),
        "p50": percentile(seconds, 0.5),
        "p99": percentile(seconds, 0.99),
        "max": max(seconds, default=0.0),
    }


def _probes(probes: Sequence[float]) -> list[str]:
    if not probes:
        return []
    p50, p99 = percentile(probes, 0.5), percentile(probes, 0.99)
    return [f"seconds from send to effect, after the storm: p50 {p50:.3f}, p99 {p99:.3f}, {len(probes)} messages"]


def as_json(result: Result) -> dict[str, Any]:
    """The same for programs."""
    verdict, options = result.verdict, result.options
    return {
        "valid": verdict.valid,
        "violations": verdict.violations,
        "queue": "fifo" if options.fifo else "standard",
        "seed": options.seed,
        "naive": options.naive,
        "machine": machine(),
        "storm_seconds": round(result.storm_seconds, 1),
        "run_seconds": round(result.all_seconds, 1),
        "cores_busy": round(result.busy, 3),
        "effects_per_second": round(result.storm_effects / max(result.storm_seconds, 1e-9), 1),
        "counts": verdict.counts,
        "messages": verdict.messages,
        "deliveries": verdict.deliveries,
        "duplicated": dict(verdict.duplicated),
        "lapsed": dict(verdict.lapsed),
        "met": dict(verdict.met),
        "inverted": dict(verdict.inverted),
        "faults": {f"{kind} {role}": count for (kind, role), count in sorted(result.struck.items())},
        "requests_hit": dict(result.hits),
        "out_of_memory_kills": result.oom_kills,
        "pool_restarts": result.restarts,
        "pool_exit_codes": {str(code): count for code, count in result.codes.items()},
        "recovery_seconds": summaries(result.recoveries),
        "probe_seconds": {"p50": percentile(result.probes, 0.5), "p99": percentile(result.probes, 0.99)},
    }
