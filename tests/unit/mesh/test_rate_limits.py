"""The annotation for rate limits: what it says, and what is told of it when it is wrong."""

from typing import Any

import pytest

from proxy.controller.rate_limit_form import rate_limit_forms, route_limit_forms
from proxy.mesh.kinds.rate_limits import ANNOTATION
from proxy.mesh.model import Cluster
from proxy.mesh.traffic.rate_limit import RateKey, RateLimit
from proxy.mesh.traffic.scope import Scope
from tests.unit.mesh.mesh_rig import clusters, endpoint_slice, gateway, namespace, service, thing, warnings
from tests.unit.mesh.test_explained import explained


def objects(text: str, name: str = ANNOTATION) -> list[Any]:
    return [namespace(), gateway(), service(annotations={name: text}), endpoint_slice()]


def limits(text: str) -> tuple[RateLimit, ...]:
    return clusters(*objects(text))["shop/cart:80"].rate_limits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100/second", RateLimit(requests=100, unit="second", burst=100)),
        ("1000/minute burst=20", RateLimit(requests=1000, unit="minute", burst=20)),
        ("5/hour key=path", RateLimit(requests=5, unit="hour", burst=5, key=RateKey.PATH)),
        ("5/day key=identity", RateLimit(requests=5, unit="day", burst=5, key=RateKey.IDENTITY)),
        (
            " 10/second  key=header:X-User burst=1 scope=replica ",
            RateLimit(requests=10, unit="second", burst=1, key=RateKey.HEADER, header="x-user"),
        ),
        ("1/second scope=fleet", RateLimit(requests=1, unit="second", burst=1, scope=Scope.FLEET)),
        (
            "1/second key=path scope=fleet",
            RateLimit(requests=1, unit="second", burst=1, key=RateKey.PATH, scope=Scope.FLEET),
        ),
        ("1/second key=none", RateLimit(requests=1, unit="second", burst=1)),
    ],
)
def test_what_it_says(text: str, expected: RateLimit) -> None:
    assert limits(text) == (expected,)
    assert limits(str(expected)) == (expected,), "as it is told to people it can be written"


def test_there_may_be_several() -> None:
    found = limits("100/second; 10/minute key=path\n 5/hour key=identity;")
    assert [each.requests for each in found] == [100, 10, 5]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("100", '"100" does nothing: it must begin with a rate such as 100/second'),
        ("100/sec", "from 1 to 1000000, a slash, and one of second, minute, hour, day"),
        ("0/second", "it must begin with a rate"),
        ("9999999/second", "it must begin with a rate"),
        ("1/second brust=3", '"brust=3" is no setting (did you mean "burst"?); there are burst, key, scope'),
        ("1/second burst=0", 'burst: must be how many may come at once, from 1 to 1000000, not "0"'),
        ("1/second burst=1 burst=2", "burst is given twice"),
        ("1/second key=header", 'key: must be none, header:NAME, path or identity, not "header"'),
        ("1/second key=header:a b", '"b" is no setting'),
        ("1/second scope=mesh", 'scope: must be one of replica, fleet, not "mesh"'),
        ("1/day burst=31", "a burst must come back within 30 days"),
        ("3/second", '"3/second" is given twice, and counts once'),
    ],
)
def test_what_is_wrong_does_nothing_and_the_rest_stays_in_force(wrong: str, told: str) -> None:
    text = f"3/second; {wrong}"
    assert limits(text) == (RateLimit(requests=3, unit="second", burst=3),)
    (line,) = warnings(*objects(text)).splitlines()
    assert "Service shop/cart: metadata.annotations" in line
    assert ANNOTATION in line
    assert told in line


def test_more_than_eight_are_too_many() -> None:
    text = "; ".join(f"{count}/second" for count in range(1, 11))
    assert len(limits(text)) == 8
    assert '"9/second" does nothing: there may be 8 limits' in warnings(*objects(text))


def test_a_name_that_is_nearly_ours_is_told() -> None:
    told = warnings(*objects("1/second", "waypointd.io/rate-limits"))
    assert f'is not known, so it does nothing (did you mean "{ANNOTATION}"?)' in told


def test_hosts_of_a_service_entry_have_them_and_tcp_ports_do_not() -> None:
    spec = {
        "hosts": ["a.example"],
        "resolution": "STATIC",
        "ports": [
            {"number": 80, "name": "http", "protocol": "HTTP"},
            {"number": 81, "name": "tcp", "protocol": "TCP"},
        ],
        "endpoints": [{"address": "10.0.0.9"}],
    }
    entry = thing("ServiceEntry", "networking.istio.io/v1", "ext", spec=spec, annotations={ANNOTATION: "3/second"})
    found = clusters(namespace(), gateway({"name": "mesh", "port": 15008, "protocol": "HBONE"}), entry)
    assert {name.rpartition(":")[2]: len(each.rate_limits) for name, each in found.items()} == {"80": 1, "81": 0}


def test_a_limit_has_the_same_number_in_every_replica_and_no_two_have_the_same() -> None:
    made = RateLimit(requests=3, unit="second", burst=3)
    other = RateLimit(requests=3, unit="second", burst=4)
    forms = [
        form
        for name in ("shop/cart:80", "shop/cart:81")
        for form in rate_limit_forms(Cluster(name, "", "", (), rate_limits=(made, other)))
    ]
    assert len({form["id"] for form in forms}) == 4
    assert forms[0]["id"] == 0xA7800E7B148995D, "it is a name in Redis: no process makes another of it"
    assert (forms[0]["interval_ns"], forms[0]["burst"], forms[0]["text"]) == (
        333333334,
        3,
        "3/second burst=3 key=none scope=replica",
    )


GATEWAY_API = "gateway.networking.k8s.io/v1"
ONE = {"parentRefs": [{"group": "", "kind": "Service", "name": "cart"}]}
TWO_RULES = ONE | {"rules": [{"backendRefs": [{"name": "cart", "port": 80}]}] * 2}
ROUTES = {
    "HTTPRoute": (GATEWAY_API, TWO_RULES),
    "GRPCRoute": (GATEWAY_API, TWO_RULES),
    "VirtualService": (
        "networking.istio.io/v1",
        {
            "hosts": ["cart"],
            "http": [
                {"match": [{"uri": {"prefix": "/a"}}], "route": [{"destination": {"host": "cart"}}]},
                {"route": [{"destination": {"host": "cart"}}]},
            ],
        },
    ),
}


@pytest.mark.parametrize("kind", ROUTES)
def test_R7_a_route_has_limits_which_all_its_rules_share(kind: str) -> None:
    api, spec = ROUTES[kind]
    route = thing(kind, api, "r", spec=spec, annotations={ANNOTATION: "3/second; 5/hour key=path scope=fleet"})
    made = clusters(namespace(), gateway(), service(), endpoint_slice(), route)["shop/cart:80"]
    assert made.rate_limits == ()
    forms = route_limit_forms(made)
    assert list(forms) == [f"{kind} shop/r rule 0", f"{kind} shop/r rule 1"]
    one, other = forms.values()
    assert one == other and len({each["id"] for each in one}) == 2
    assert one[0]["text"] == f"3/second burst=3 key=none scope=replica of {kind} shop/r"
    told = "\n".join(explained(namespace(), gateway(), service(), endpoint_slice(), route))
    assert f"rate limits of {kind} shop/r: 3/second burst=3 key=none scope=replica; 5/hour" in told


def test_what_is_wrong_in_a_routes_text_is_told() -> None:
    api, spec = ROUTES["HTTPRoute"]
    route = thing("HTTPRoute", api, "r", spec=spec, annotations={ANNOTATION: "3/week"})
    (line,) = warnings(namespace(), gateway(), service(), endpoint_slice(), route).splitlines()
    assert "HTTPRoute shop/r: metadata.annotations" in line and '"3/week" does nothing' in line
