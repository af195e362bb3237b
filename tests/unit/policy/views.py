"""Endpoints as decisions see them."""

from collections.abc import Sequence
from itertools import accumulate

from proxy.policy.shapes import View


def view(here: Sequence[bool], tried: Sequence[int] = (), weights: Sequence[int] = ()) -> View:
    """Endpoints of whom some are in."""
    members = [position for position, one in enumerate(here) if one]
    rank = [sum(here[:position]) for position in range(len(here))]
    heavy = [*weights] or [1] * len(here)
    sums = list(accumulate(heavy[position] for position in members))
    return View(len(here), len(members), members, rank, bytes(p in tried for p in range(len(here))), heavy, sums)
