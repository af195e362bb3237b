"""Where requests go after snapshots that say only what changed: by Host, by authority, by an endpoint's own address."""

import pytest

from proxy.relay.routes import Routes
from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.inspect_routes import of_host, of_target
from tests.relay_rig import cluster, relay

ONE, TWO, OTHER = (f"10.0.0.{number}:80".encode() for number in (1, 2, 3))


class Serving:
    """A relay, told of clusters by the numbers of their endpoints."""

    def __init__(self) -> None:
        self.board = Scoreboard.create()
        self.board.workers.start(0, 1)
        self.relay = relay(self.board)

    def apply(self, full: bool = False, removed: tuple[str, ...] = (), **clusters: tuple[int, ...]) -> None:
        ips = {name: [f"10.0.0.{number}" for number in numbers] for name, numbers in clusters.items()}
        self.relay.apply(full, [cluster(self.board, *each) for each in ips.items()], list(removed))


@pytest.fixture
def serving() -> Serving:
    return Serving()


@pytest.fixture
def routes(serving: Serving) -> Routes:
    serving.apply(a=(1, 2), b=(3,))
    made = serving.relay.routes(True)
    made.apply({"ns/a": {"a": [b"a:80"]}, "ns/b": {"b": [b"b:80"]}}, [])
    return made


def test_a_plain_listener_knows_no_endpoints(serving: Serving) -> None:
    serving.apply(a=(1,))
    routes = serving.relay.routes(False)
    routes.apply({"ns/a": {"a": [b"a"]}}, [])
    assert (of_host(routes, b"A"), of_host(routes, b"b"), of_target(routes, ONE)) == ("a", "", "")


def test_an_endpoint_is_asked_for_by_its_own_address(routes: Routes) -> None:
    assert [of_target(routes, target) for target in (b"a:80", ONE, TWO, OTHER, b"10.0.0.9:80")] == [
        "a",
        "a alone 10.0.0.1:80",
        "a alone 10.0.0.2:80",
        "b alone 10.0.0.3:80",
        "",
    ]


def test_endpoints_come_and_go_and_move_to_another_cluster(serving: Serving, routes: Routes) -> None:
    assert of_target(routes, ONE)
    serving.apply(a=(2,), b=(3, 1))
    routes.apply({}, [])
    assert [of_target(routes, target) for target in (ONE, TWO)] == ["b alone 10.0.0.1:80", "a alone 10.0.0.2:80"]
    serving.apply(b=(3,))
    routes.apply({}, [])
    assert of_target(routes, ONE) == ""


def test_one_that_the_listener_does_not_reach_is_nowhere(routes: Routes) -> None:
    routes.apply({}, ["ns/b"])
    assert (of_target(routes, OTHER), of_target(routes, b"b:80")) == ("", "")
    routes.apply({"ns/b": {"b": []}}, [])
    assert (of_target(routes, OTHER), of_target(routes, b"b:80")) == ("b alone 10.0.0.3:80", "")


def test_of_several_clusters_it_is_the_first_services_in_the_order_of_its_ports(
    serving: Serving, routes: Routes
) -> None:
    serving.apply(b=(1, 3), c=(1,), d=(1,))
    routes.apply({"ns/0": {"d": [], "c": []}}, [])
    assert of_target(routes, ONE) == "d alone 10.0.0.1:80"
    routes.apply({"ns/0": {"c": [], "d": []}}, [])
    assert of_target(routes, ONE) == "c alone 10.0.0.1:80"
    routes.apply({}, ["ns/0"])
    assert of_target(routes, ONE) == "a alone 10.0.0.1:80"
    serving.apply(removed=("a",))
    routes.apply({}, ["ns/a"])
    assert of_target(routes, ONE) == "b alone 10.0.0.1:80"


def test_everything_told_anew_forgets_the_rest(serving: Serving, routes: Routes) -> None:
    serving.apply(full=True, b=(3,))
    routes.apply({}, [])
    found = [of_target(routes, target) for target in (ONE, OTHER, b"a:80", b"b:80")]
    assert found == ["", "b alone 10.0.0.3:80", "", "b"]


@pytest.mark.parametrize(
    ("host", "found"),
    [
        pytest.param(b"a.example", "whole", id="H4"),
        pytest.param(b"A.Example:1234", "whole", id="H1"),
        pytest.param(b"b.example:1234", "wild", id="H1-wildcard"),
        pytest.param(b"a.b.example", "wild", id="H2"),
        pytest.param(b"x.far.example", "farther", id="H4-longest"),
        pytest.param(b"example", "", id="H2-not-itself"),
        pytest.param(b"service:80", "service", id="its-port"),
        pytest.param(b"service:81", "", id="a-port-that-a-service-has-not"),
    ],
)
def test_names_for_any_port_and_wildcards(serving: Serving, host: bytes, found: str) -> None:
    serving.apply(whole=(1,), wild=(2,), farther=(3,), service=(4,))
    routes = serving.relay.routes(False)
    names = {"whole": [b"a.example", b"a.example:*"], "wild": [b"*.example"], "farther": [b"*.far.example"]}
    routes.apply({"Gateway ns/gw": names, "ns/service": {"service": [b"service", b"service:80"]}}, [])
    assert of_host(routes, host) == found


def test_h1_a_port_does_not_matter_where_there_is_no_wildcard_either(serving: Serving) -> None:
    serving.apply(whole=(1,))
    routes = serving.relay.routes(False)
    routes.apply({"Gateway ns/gw": {"whole": [b"a.example", b"a.example:*"]}}, [])
    assert of_host(routes, b"a.example:1234") == "whole"
    routes.apply({}, ["Gateway ns/gw"])
    assert of_host(routes, b"a.example:1234") == ""
