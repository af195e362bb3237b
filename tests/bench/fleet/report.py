"""From what was measured to Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.fleet.model import INTERVAL_SECONDS, REQUESTS_PER_SECOND, SATURATED, SHARDS

Found = Mapping[str, Any]

_ERRORS = (
    ("sequential", "errors until out everywhere, one client after another (median of 3)"),
    ("concurrent", "errors until out everywhere, 16 clients at a time (median of 3)"),
    ("restarted", "errors added by a restarted replica"),
    ("new", "errors added by a new replica"),
    ("recovery_full", "errors per recovery, full return at the end of the ejection"),
    ("recovery_unmerged", "errors per recovery, `update_merge_window: 0s`"),
    ("recovery_probe", "errors per recovery, `waypointd.io/recovery: probe`"),
)
_COSTS = {
    "failure": "report that counts a failure",
    "turn": "report that begins or ends a run of failures, and publishes that",
    "delivery": "delivery of what is published, to each subscriber",
    "look": "look of a reconcile (MGET)",
    "look_endpoint": "each endpoint in it",
}


HEADING = "## One run"


def renew(page: Path, found: Found, machine: str) -> None:
    """Replaces what a page of documentation says under HEADING, to its end."""
    kept = page.read_text().partition(HEADING)[0]
    page.write_text(f"{kept}{HEADING}\n\n{machine}\n\n{text(found)}\n")


def text(found: Found) -> str:
    """All the tables of what was measured."""
    writers: dict[str, Callable[[Any], str]] = {
        "errors": _errors,
        "latency": _latency,
        "commands": _commands,
        "costs": _costs,
        "model": _model,
    }
    return "\n\n".join(write(found[part]) for part, write in writers.items() if part in found)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _errors(found: Found) -> str:
    sizes = list(next(iter(found.values())))
    rows = [
        [what, name, *(_rounds(found[name][size][measure]) for size in sizes)]
        for measure, what in _ERRORS
        for name in found
        if measure in found[name][sizes[0]]
    ]
    return "### Errors that clients see\n\n" + _table(["", "", *(f"N = {size}" for size in sizes)], rows)


def _rounds(errors: int | list[int]) -> str:
    """One figure, or the median of several and, where they differ, from what to what."""
    if isinstance(errors, int):
        return str(errors)
    least, most = min(errors), max(errors)
    return f"{median(errors):g}" + (f" ({least} to {most})" if least < most else "")


def _latency(found: Found) -> str:
    took, more = found["took_ms"], found["more"]
    head = ["replicas x workers", "repetitions", "p50 ms", "p99 ms", "longest ms", "requests after it, p50", "most"]
    row = [f"{found['replicas']} x {found['workers']}", len(took)]
    row += [f"{_percentile(took, 50):.1f}", f"{_percentile(took, 99):.1f}", f"{took[-1]:.1f}"]
    row += [_percentile(more, 50), more[-1]]
    return "### From the deciding failure to the last request, over all workers\n\n" + _table(head, [row])


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, -(-len(ordered) * percent // 100) - 1)]


def _commands(found: Found) -> str:
    head = ["replicas", "", "requests/s", "commands/s", "looks/s", "reports/s", "simulated", "published/s"]
    head += ["server us/report", "in the script", "server busy"]
    rows = []
    for size, phases in found.items():
        for name, phase in phases.items():
            row = [size, name, f"{phase['requests_per_second']:.0f}", f"{phase['commands_per_second']:.1f}"]
            row += [f"{phase['mgets_per_second']:.1f}", f"{phase['reports_per_second']:.1f}"]
            row += [f"{phase['simulated']:.1f}" if "simulated" in phase else "", f"{phase['publishes_per_second']:.1f}"]
            many = phase["reports_per_second"] > 5  # of fewer, most of the time is the server's own
            row += [f"{phase['cpu_us_per_report']:.0f}", f"{phase['usec_per_evalsha']:.0f}"] if many else ["", ""]
            rows.append([*row, f"{100 * phase['server_busy']:.2f} %"])
    return "### What Redis is asked for\n\n" + _table(head, rows)


def _costs(found: Found) -> str:
    rows = [[what, f"{found[name]:.1f}"] for name, what in _COSTS.items()]
    return "### What a call costs the server\n\n" + _table(["", "us of its processor"], rows)


def _model(found: Sequence[Found]) -> str:
    title = (
        f"### Clusters until a Redis primary is {SATURATED:.0%} busy (simulated)\n\n"
        f"{REQUESTS_PER_SECOND:g} requests/s of each replica in each cluster; flapping: all three endpoints fail 30 %"
        f" of them. The other clusters are looked at every {INTERVAL_SECONDS:g} s.\n\n"
    )
    head = ["replicas", "flapping", "reports/s of a flapping cluster", "one primary"]
    head += [f"{shards} shards" for shards in SHARDS]
    rows = [
        [row["replicas"], f"{row['share']:.0%}", f"{row['reports_per_second']:.0f}"]
        + [f"{clusters:,}" if clusters else "< 1" for clusters in row["clusters"].values()]
        for row in found
    ]
    return title + _table(head, rows)
