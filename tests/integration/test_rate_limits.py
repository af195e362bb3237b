"""Rate limits, as clients of a replica with two workers see them; the rows are those of part 5 of the reference."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.mesh.kinds.rate_limits import ANNOTATION
from tests.integration.http_rig import LINE, Client, Head, unique
from tests.integration.metrics_rig import scrape
from tests.manifests import Manifests, gateway, namespace, service, slice_of
from tests.rig import Background, Replica, endpoints, free_port, replica, wait_until

LIMITS = {
    "whole": "10/day burst=25",
    "by-header": "1/day key=header:x-user burst=2",
    "by-path": "1/day key=path",
    "spelled": "1/day key=path",
    "two": "1/day burst=3; 1/day burst=1 key=path",
    "back": "2/second burst=1",
    "told": "1/hour; 1/hours",
    "grpc": "1/hour",
    "body": "1/hour",
    "routed": "9/day",
    "virtual": "",
}


def called(body: dict[str, Any], name: str) -> dict[str, Any]:
    """The object for another Service."""
    metadata = body["metadata"] | {"name": name}
    if "labels" in metadata:
        metadata["labels"] = metadata["labels"] | {"kubernetes.io/service-name": name}
    return body | {"metadata": metadata}


def limited_service(name: str, text: str) -> dict[str, Any]:
    made = called(service(), name)
    made["spec"] = {"ports": made["spec"]["ports"]}
    made["metadata"]["annotations"] = {ANNOTATION: text}
    return made


def of_a_route(kind: str, api: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "httpbin", "annotations": {ANNOTATION: "3/day"}}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


GATEWAY_API = "gateway.networking.k8s.io/v1"
PARENTS = [{"group": "", "kind": "Service", "name": "routed"}]
TO = [{"name": "routed", "port": 8000}]
ROUTES = [
    of_a_route(
        "HTTPRoute",
        GATEWAY_API,
        "few",
        {
            "parentRefs": PARENTS,
            "rules": [{"matches": [{"path": {"value": each}}], "backendRefs": TO} for each in ("/few", "/more")],
        },
    ),
    of_a_route("HTTPRoute", GATEWAY_API, "all", {"parentRefs": PARENTS, "rules": [{"backendRefs": TO}]}),
    of_a_route(
        "VirtualService",
        "networking.istio.io/v1",
        "virtual",
        {"hosts": ["virtual"], "http": [{"directResponse": {"status": 204}}]},
    ),
]
del ROUTES[1]["metadata"]["annotations"]


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A Service for each text of LIMITS, called after it."""
    directory = tmp_path_factory.mktemp("limited")
    manifests, port = Manifests(directory / "manifests"), free_port()
    manifests.path.mkdir()
    manifests.put("namespace", namespace())
    manifests.put("gateway", gateway(port))
    with endpoints(1) as members:
        for name, text in LIMITS.items():
            manifests.put(name, limited_service(name, text))
            manifests.put(f"{name}-slice", called(slice_of(members), name))
        for route in ROUTES:
            manifests.put(f"{route['kind']}-{route['metadata']['name']}", route)
        with replica(directory, manifests, port, workers=2) as made:
            yield made


def asked(made: Replica, name: str, path: str = "/", *fields: str) -> tuple[Head, bytes]:
    """On a connection of its own, which either worker may have."""
    with Client(made.port) as client:
        return client.ask(name, path, *fields)


def statuses(made: Replica, name: str, *requests: tuple[str, ...]) -> list[int]:
    return [asked(made, name, *each)[0].status for each in requests]


def test_r2_two_workers_let_in_together_as_many_as_the_limit_says(limited: Replica) -> None:
    found: list[int] = []

    def run() -> None:
        for _ in range(10):
            found.append(asked(limited, "whole")[0].status)

    with Background(*[run] * 6):
        pass
    assert Counter(found) == {200: 25, 429: 35}
    assert all(row["requests"] for row in limited.info()["workers"]), "both had some"


def test_r2_who_is_refused_is_told_as_envoy_tells_it_and_may_ask_again_on_the_connection(limited: Replica) -> None:
    path = unique()
    with Client(limited.port) as client:
        assert client.ask("told")[0].status == 200
        head, body = client.ask("told", path)
        assert (head.status, body) == (429, b"local_rate_limited")
        assert head["x-ratelimit-limit"] == "1"
        assert head["x-ratelimit-remaining"] == "0"
        assert 3500 < int(head["x-ratelimit-reset"]) <= 3600
        assert 3500 < int(head["retry-after"]) <= 3600
        assert client.ask("told")[0].status == 429, "the connection goes on"
    (line,) = wait_until(lambda: limited.waypoint.lines(path), 5, "its line in the log")
    match = LINE.match(line)
    assert match, line
    found = match.groupdict()
    assert (found["status"], found["flags"], found["details"]) == ("429", "RL", "local_rate_limited")


def test_r2_a_grpc_client_is_told_unavailable(limited: Replica) -> None:
    field = "content-type: application/grpc"
    assert asked(limited, "grpc", "/a/b", field)[0].status == 200
    head, _ = asked(limited, "grpc", "/a/b", field)
    assert (head.status, head["grpc-status"], head["grpc-message"]) == (200, "14", "local_rate_limited")
    assert int(head["retry-after"]) > 3500


def test_what_counts_together_may_be_a_header_and_who_has_none_counts_together_too(limited: Replica) -> None:
    ann, bob = ("/", "x-user: ann"), ("/", "X-User: bob")
    assert statuses(limited, "by-header", ann, ann, ann, bob, bob, bob) == [200, 200, 429] * 2
    assert statuses(limited, "by-header", ("/",), ("/",), ("/",)) == [200, 200, 429]
    both = ("/", "x-user: ann", "x-user: bob")
    assert statuses(limited, "by-header", both, both, both) == [200, 200, 429], "several lines are another value"


def test_what_counts_together_may_be_a_path_without_its_query(limited: Replica) -> None:
    assert statuses(limited, "by-path", ("/a",), ("/b",), ("/a?x=1",), ("/b",)) == [200, 200, 429, 429]


def test_a_request_that_one_limit_refuses_does_not_count_for_another(limited: Replica) -> None:
    assert statuses(limited, "two", ("/a",), *[("/a",)] * 5) == [200, *[429] * 5]
    assert statuses(limited, "two", ("/b",), ("/c",), ("/d",)) == [200, 200, 429]


def test_r4_after_an_interval_there_is_one_more(limited: Replica) -> None:
    found: list[int] = []

    def again() -> bool:
        found.append(asked(limited, "back")[0].status)
        return found.count(200) == 3

    wait_until(again, 10, "it comes back")
    assert found.count(429) > 0


def test_a_body_that_nobody_reads_is_no_obstacle(limited: Replica) -> None:
    assert asked(limited, "body")[0].status == 200
    with Client(limited.port) as client:
        head, body = client.ask("body", method="POST", body=b"x" * 1000)
        assert (head.status, body) == (429, b"local_rate_limited")
        assert client.ask("body")[0].status == 429


def test_what_is_wrong_in_a_text_is_told_in_the_log(limited: Replica) -> None:
    assert '"1/hours" does nothing: it must begin with a rate such as 100/second' in limited.waypoint.errors()


def test_R7_rules_of_a_route_count_together_and_what_it_refuses_counts_for_nobody(limited: Replica) -> None:
    few = [(each,) for each in ("/few", "/more", "/few", "/more", "/few")]
    assert statuses(limited, "routed", *few) == [200] * 3 + [429] * 2
    assert statuses(limited, "routed", *[("/other",)] * 7) == [200] * 6 + [429], "nine, less the three that got in"
    path = unique("/few/")
    head, body = asked(limited, "routed", path)
    assert (head.status, body, head["x-ratelimit-limit"]) == (429, b"local_rate_limited", "9")
    limit = "3/day burst=3 key=none scope=replica of HTTPRoute httpbin/few"
    counted = scrape(limited).by("waypointd_rate_limit_requests_total", "cluster", "result", "limit")
    assert counted["httpbin/routed:8000", "limited", limit] == 2
    assert counted["httpbin/routed:8000", "allowed", ""] == 9 + 2, "those two were let in by the Service's"


def test_R7_a_virtual_services_answers_count_too(limited: Replica) -> None:
    assert statuses(limited, "virtual", *[("/",)] * 5) == [204] * 3 + [429] * 2


@pytest.mark.parametrize("ways", [("/login", "/./login", "/x/../login", "/%6cogin", "/login?again", "/x\\..\\login")])
def test_a_path_counts_once_however_it_is_spelled(limited: Replica, ways: tuple[str, ...]) -> None:
    """Who asks for it in another way gets what the endpoint takes for the same, and no more of it."""
    assert statuses(limited, "spelled", *((way,) for way in ways)) == [200, *[429] * (len(ways) - 1)]
    assert asked(limited, "spelled", "/%00login")[0].status == 400
