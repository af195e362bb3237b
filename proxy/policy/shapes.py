"""The structures of facts.pxd as Python knows them: what the decisions are checked against, and interpreted with.

Field for field the same (tests/unit/policy/test_shapes.py). Pure data; the request path has the C ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class View:
    """The endpoints of a cluster, by position."""

    count: int
    present: int
    members: Sequence[int]
    rank: Sequence[int]
    tried: Sequence[int]
