"""What deciding about a request costs: `python -m tests.bench.deciding [--rounds N]`.

Nanoseconds, of the compiled decisions alone, over a head that has been parsed: which of some matches a request is
for, and whether it gets in by some access rules; at best and at worst. The least of all rounds counts, since what else
the machine does only adds.
"""

import argparse

from proxy.controller.access_form import access_forms
from proxy.controller.route_form import routing_form
from proxy.ipc.routing import RoutingForm
from proxy.mesh.traffic.access import AccessPolicy, AccessRule, Action, Fact, Term
from proxy.mesh.traffic.routing import Condition, Op, Part, RouteMatch, RouteRule, Routing
from proxy.relay.routing.plan import Plan
from tests.instruments.inspect_access import Judge
from tests.instruments.inspect_routing import seconds_for

TIMES = 1_000
IDENTITY = b"spiffe://cluster.local/ns/shop/sa/web"


def main() -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    rounds = parser.parse_args().rounds
    for count in (1, 16, 128):
        plan = Plan(_routes(count))
        for name, path in (
            ("first", "/api/v1/service-0/items"),
            ("last", f"/api/v1/service-{count - 1}/items/7"),
            ("none", "/a/b/c"),
        ):
            head = f"GET {path} HTTP/1.1\r\nhost: cart\r\nuser-agent: curl/8\r\naccept: */*\r\n\r\n".encode()
            best = min(seconds_for(plan, head, TIMES) for _ in range(rounds))
            print(f"{f'route, of {count}: {name}':40} {best / TIMES * 1e9:8.0f}")
    for count in (1, 32):
        judge = Judge(access_forms(_policies(count))[0], 80)
        for name, number in (("first", 0), ("last", count - 1), ("none", count)):
            head = f"GET /api/v1/service-{number}/items HTTP/1.1\r\nhost: cart\r\nuser-agent: curl/8\r\n\r\n".encode()
            best = min(judge.seconds(head, IDENTITY, TIMES) for _ in range(rounds))
            print(f"{f'access, of {count}: {name}':40} {best / TIMES * 1e9:8.0f}")
    return 0


def _routes(count: int) -> RoutingForm:
    matches = [RouteMatch(at, (Condition(Part.PATH, Op.SEGMENTS, f"/api/v1/service-{at}"),)) for at in range(count)]
    return routing_form(Routing(tuple(matches), tuple(RouteRule(f"rule {at}") for at in range(count))))


def _policies(count: int) -> list[AccessPolicy]:
    """Rules to allow, each with a client, methods and a path of its own."""
    rules = [
        AccessRule(
            sources=((Term(Fact.PRINCIPAL, ("cluster.local/ns/shop/sa/web",)),),),
            operations=((Term(Fact.METHOD, ("GET", "HEAD")), Term(Fact.PATH, (f"/api/v1/service-{at}/*",))),),
        )
        for at in range(count)
    ]
    return [AccessPolicy("shop/p", Action.ALLOW, tuple(rules))]


if __name__ == "__main__":
    raise SystemExit(main())
