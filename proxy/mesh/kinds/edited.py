"""How much is put into one head: what is more than there is room for cannot be kept (proxy/wire/http/edits.pxd)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy.mesh.kinds.header_edits import FRAMING
from proxy.mesh.traffic.routing import HeaderEdits

MOST_LINES = 64
ROOM = 16384
"""Lines that are put into one head, and octets of them, each with its end, and of a host that is given."""
TOO_MUCH = f"put more than {MOST_LINES} header lines, or {ROOM} bytes of them, into one head"
_ENDS = len(": \r\n")


def is_too_much(edits: Sequence[HeaderEdits], host: str = "") -> bool:
    """Whether these, one after the other, put too much into a head."""
    lines = list(_lines(edits))
    octets = sum(len(name.encode()) + len(value.encode()) + _ENDS for name, value in lines)
    return len(lines) > MOST_LINES or octets + len(host.encode()) > ROOM


def _lines(edits: Sequence[HeaderEdits]) -> Iterator[tuple[str, str]]:
    """Those that are put in, but for what a later one removes or sets anew."""
    for index, each in enumerate(edits):
        gone = {name for later in edits[index + 1 :] for name in (*later.remove, *(name for name, _ in later.set))}
        for name, value in (*each.set, *each.add):
            if name not in gone and name not in FRAMING:
                yield name, value
