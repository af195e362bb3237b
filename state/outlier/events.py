"""What scripts publish, read back: one line `kind name=word name=word ...` per message (written by `publish` in
common.lua).

Pure. A line that is not ours is no event: anybody can publish on a channel, and an unread event costs nothing because
every replica also reconciles.
"""

from dataclasses import dataclass

from state.keys import text_of

KINDS = frozenset({"eject", "uneject", "dirty", "clean", "full", "witnesses"})


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one endpoint that the whole fleet is told of."""

    cluster: str
    kind: str  # "eject", "uneject", "dirty" (its successes matter now), "clean" (they do no longer), "full" (the cap
    # is), "witnesses" (only they tell of its outcomes from now on)
    endpoint: str
    workload: str  # "" when not known, as for an ejection by hand
    version: int
    left_ms: int  # of an ejection, else 0
    ejection_ms: int
    generation: int
    failures: int  # of "eject" the run that did it, else the run now
    ejections: int
    backoff: int
    probe_in_ms: int  # as Verdict's
    by: str  # who ejected it
    reason: str  # of the ejection; of "uneject" why: "by_hand", "probe_succeeded", "new_workload", "removed"
    cause: str = ""  # of an ejection by the rule, as Verdict's; versions before this field told none
    age_us: int = 0  # of "dirty": how long before this was published the run's first failure happened
    witnesses: int = 0  # who its witnesses are follows from this number; 0: everybody tells
    of: int = 0  # of how many replicas


def parse(cluster: str, line: str) -> Event | None:
    """The event in `line`, None if it is none."""
    kind, *words = line.split(" ")
    fields = dict(word.split("=", 1) for word in words if "=" in word)
    try:
        return (
            Event(
                cluster=cluster,
                kind=kind,
                endpoint=text_of(fields["endpoint"]),
                workload=text_of(fields["workload"]),
                version=int(fields["version"]),
                left_ms=int(fields["left_ms"]),
                ejection_ms=int(fields["ejection_ms"]),
                generation=int(fields["generation"]),
                failures=int(fields["failures"]),
                ejections=int(fields["ejections"]),
                backoff=int(fields["backoff"]),
                probe_in_ms=int(fields["probe_in_ms"]),
                by=text_of(fields["by"]),
                reason=text_of(fields["reason"]),
                cause=text_of(fields.get("cause", "")),
                age_us=int(fields.get("age_us", 0)),
                witnesses=int(fields.get("witnesses", 0)),
                of=int(fields.get("of", 0)),
            )
            if kind in KINDS
            else None
        )
    except (KeyError, ValueError):
        return None
