"""How many requests in a time, as an annotation of ours asks for it: no field of Istio or the Gateway API does.

The words are those of Envoy's rate limit API (`requests_per_unit`, `unit`) and of its local limit (`max_tokens` is
`burst` here).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from proxy.mesh.traffic.scope import Scope

UNITS: Mapping[str, int] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
"""Seconds."""


class RateKey(StrEnum):
    """What of a request says which requests count together."""

    NONE = "none"
    HEADER = "header"
    PATH = "path"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """So many `requests` in a `unit`, `burst` of them at once. `header`: the name, in lower case, where it is the
    key."""

    requests: int
    unit: str
    burst: int
    key: RateKey = RateKey.NONE
    header: str = ""
    scope: Scope = Scope.REPLICA

    @property
    def interval_ns(self) -> int:
        """Between two requests at that rate; rounded up, so that there are never more."""
        return -(-UNITS[self.unit] * 1_000_000_000 // self.requests)

    def __str__(self) -> str:
        """As one writes it."""
        key = f"{self.key}:{self.header}" if self.header else self.key
        return f"{self.requests}/{self.unit} burst={self.burst} key={key} scope={self.scope}"
