"""Where values stand: the line of each, and the path by which messages name a field."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_PLAIN_STEP = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


_NOTHING: dict[str | int, Lines] = {}


class Lines:
    """The line (from 1) of a value, and of what is inside it: of most there is nothing."""

    __slots__ = ("children", "line")

    def __init__(self, line: int, children: dict[str | int, Lines] = _NOTHING) -> None:
        self.line = line
        self.children = children

    def line_of(self, path: Path) -> int:
        """Line of the value at `path`, or of the nearest thing around it that is written down."""
        here = self
        for step in path:
            inner = here.children.get(step)
            if inner is None:
                break
            here = inner
        return here.line


def path_text(path: Path) -> str:
    """`spec.ports[0].name`, `metadata.labels[istio.io/use-waypoint]`."""
    text = ""
    for step in path:
        if isinstance(step, int) or not _PLAIN_STEP.fullmatch(step):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text
