"""What operators do, over Redis alone: no replica need be running.

By scripts, as the fleet's own changes are: counted, published, and written into the stream with who and why.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import redis

from state.constants import ENDLESS_MS
from state.keys import word
from state.operating import explain
from state.operating.rule import Rule
from state.operating.viewer import Directory, Refused, Viewer, address_of
from state.outlier.store import BY_HAND
from state.scripts import source
from state.server.failures import unavailable

LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Order:
    """Take an endpoint out, or put it back. `ejection_ms` 0: until somebody puts it back."""

    cluster: str
    endpoint: str
    by: str
    why: str = ""
    ejection_ms: int = 0

    def __post_init__(self) -> None:
        """Raises Refused for what nobody can mean."""
        if not self.by:
            raise Refused("say who does it: that is kept")
        if max(len(self.by), len(self.why)) > LONGEST_TEXT:
            raise Refused(f"who and why may have {LONGEST_TEXT} characters each")
        if not 0 <= self.ejection_ms < ENDLESS_MS:
            raise Refused("that is ten years or more: leave the time out, and it is out until it is unejected")


@dataclass(frozen=True, slots=True)
class Done:
    """What an order has done."""

    cluster: str
    endpoint: str
    changed: str  # "ejected", "changed" (it was out before), "unejected"
    warning: str = ""


class Operator(Viewer):
    """Both methods may raise Refused and StoreUnavailable."""

    def __init__(
        self, client: redis.Redis, prefix: str = "waypoint", directory: Callable[[], Directory] | None = None
    ) -> None:
        super().__init__(client, prefix, directory)
        self._eject, self._uneject = (
            client.register_script(source(name)) for name in ("eject_by_hand", "uneject_by_hand")
        )

    def eject(self, order: Order) -> Done:
        """Take an endpoint out, whatever the cap says; one that is out already gets the new time."""
        order, rule, workload = self._target(order)
        arguments: list[str | int] = [word(workload), word(order.by), word(order.why) or BY_HAND, order.ejection_ms]
        was_out, active = self._by_hand(self._eject, order, arguments)
        return Done(order.cluster, order.endpoint, "changed" if was_out else "ejected", _warning(int(active), rule))

    def uneject(self, order: Order) -> Done:
        """Put an endpoint back."""
        order, _, workload = self._target(order)
        if not self._by_hand(self._uneject, order, [word(workload), word(order.by), word(order.why)]):
            out = [each.endpoint for each in self.ejections() if each.cluster == order.cluster]
            raise Refused(f"{order.endpoint} of {order.cluster} is not ejected; what is: {', '.join(out) or 'nothing'}")
        return Done(order.cluster, order.endpoint, "unejected")

    def _target(self, order: Order) -> tuple[Order, Rule, str]:
        """See that there is such an endpoint; the order with its address, the rule of its cluster, and its workload if
        that is known."""
        more = self._known(order.cluster)
        rule, _ = self._rule(order.cluster)
        told = self._told(order.cluster, rule)
        order = replace(order, endpoint=address_of(order.endpoint, told))
        self._check(order.cluster, order.endpoint, told, self._members(order.cluster, told, more))
        return order, rule, told.get(order.endpoint, "")

    def _by_hand(self, script: Any, order: Order, arguments: list[str | int]) -> Any:
        keys = self.keys(order.cluster)
        names = [keys.ejected, keys.log, keys.version, keys.eject(order.endpoint), keys.endpoint(order.endpoint)]
        with unavailable():
            return script(keys=names, args=[keys.events, order.endpoint, *arguments])


def _warning(active: int, rule: Rule) -> str:
    """What an operator should know of a cluster of which so many are out."""
    policy = rule.policy
    if policy is None:
        return "no replica has told of this cluster's rule lately: is it served, with outlierDetection?"
    if active >= policy.endpoints:
        return f"{active} of {policy.endpoints} endpoints are out: requests for the cluster get 503 (UH)"
    if explain.beyond(active, policy):
        share = f"{active} of {policy.endpoints}"
        return f"{share} endpoints are out, more than maxEjectionPercent {policy.max_ejection_percent} allows"
    return ""
