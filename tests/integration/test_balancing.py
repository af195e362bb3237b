"""`loadBalancer` of a rule, by requests over several workers."""

import http.client
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.manifests import Manifests, rule
from tests.rig import Endpoint, Replica, endpoints, manifests_for, replica, wait_until


@dataclass
class Balanced:
    """A replica of three workers and five endpoints, whose rule may change."""

    replica: Replica
    manifests: Manifests
    members: list[Endpoint]
    balancer: dict[str, Any] = field(default_factory=dict)

    def by(self, **balancer: Any) -> None:
        made = rule()
        made["spec"]["trafficPolicy"]["loadBalancer"] = balancer
        if balancer != self.balancer:  # or there is no new snapshot to wait for
            self.replica.serve(lambda: self.manifests.put("rule", made))
        self.balancer = balancer

    def ask(self, path: str = "/hostname", **headers: str) -> tuple[str, str | None]:
        """Which endpoint answered, and the cookie that it set; on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.replica.port, timeout=10)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers={"host": "in-ambient", **names})
            response = connection.getresponse()
            return response.read().decode().strip(), response.getheader("set-cookie")
        finally:
            connection.close()

    def asked(self, count: int, path: str = "/hostname", **headers: str) -> Counter[str]:
        return Counter(self.ask(path, **headers)[0] for _ in range(count))


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    with (
        endpoints(5) as members,
        manifests_for(members) as (manifests, port),
        replica(tmp_path_factory.mktemp("balanced"), manifests, port, workers=3) as running,
    ):
        yield Balanced(running, manifests, members)


@pytest.mark.parametrize("simple", ["RANDOM", "LEAST_REQUEST"])
def test_by_lot(balanced: Balanced, simple: str) -> None:
    balanced.by(simple=simple)
    found = balanced.asked(150)
    assert len(found) == 5
    assert set(found.values()) != {30}, "not in turns"


def test_least_request_leaves_a_busy_endpoint_alone(balanced: Balanced) -> None:
    balanced.by(simple="LEAST_REQUEST")
    slow = balanced.members[0]
    before, slow.delay = len(slow.requests), 20.0
    held = [http.client.HTTPConnection("127.0.0.1", balanced.replica.port, timeout=10) for _ in range(60)]
    try:
        for each in held:  # whoever meets it stays there, so that in the end it has many and the others none
            each.request("GET", "/hostname", headers={"host": "in-ambient"})
        wait_until(lambda: len(slow.requests) > before + 3, 10, "some wait there")
        slow.delay = 0.0
        found = balanced.asked(100)
        assert found[slow.name] <= 14, "it is drawn twice by one in twenty-five"
    finally:
        slow.delay = 0.0
        for each in held:
            each.close()


@pytest.mark.parametrize("algorithm", [{"ringHash": {}}, {"maglev": {"tableSize": 251}}])
def test_3_2_header_one_key_has_one_endpoint_in_every_worker(balanced: Balanced, algorithm: dict[str, Any]) -> None:
    balanced.by(consistentHash={"httpHeaderName": "X-User", **algorithm})
    users = {f"user-{number}": balanced.asked(8, x_user=f"user-{number}") for number in range(12)}
    assert all(len(found) == 1 for found in users.values())
    assert len({next(iter(found)) for found in users.values()}) > 1
    assert len(balanced.asked(60)) == 5, "without the header any will do"


def test_3_2_query_parameter(balanced: Balanced) -> None:
    balanced.by(consistentHash={"httpQueryParameterName": "user"})
    (one,) = balanced.asked(8, "/hostname?a=b&user=7")
    assert set(balanced.asked(8, "/hostname?user=7&user=8")) == {one}
    assert len(balanced.asked(60, "/hostname?users=7")) == 5


def test_3_2_source_ip(balanced: Balanced) -> None:
    balanced.by(consistentHash={"useSourceIp": True})
    assert len(balanced.asked(20)) == 1


def test_3_2_cookie_ttl_3600s_path(balanced: Balanced) -> None:
    balanced.by(consistentHash={"httpCookie": {"name": "user", "ttl": "3600s", "path": "/"}})
    name, cookie = balanced.ask()
    assert cookie
    found = re.fullmatch(r'user="([0-9a-f]{16})"; Max-Age=3600; Path=/; HttpOnly', cookie)
    assert found, cookie
    for given in (f"user={found[1]}", f'a=b; user="{found[1]}"'):
        assert set(balanced.asked(8, cookie=given)) == {name}
    assert balanced.ask(cookie=f"user={found[1]}")[1] is None, "who has one is given none"
    assert len(balanced.asked(60)) == 5, "every client its own"


def test_3_2_cookie_ttl_unset(balanced: Balanced) -> None:
    balanced.by(consistentHash={"httpCookie": {"name": "user"}})
    assert balanced.ask()[1] is None
    assert len(balanced.asked(8, cookie="user=7")) == 1


def test_3_2_cookie_ttl_0s(balanced: Balanced) -> None:
    balanced.by(consistentHash={"httpCookie": {"name": "user", "ttl": "0s"}})
    name, cookie = balanced.ask()
    found = re.fullmatch(r'user="([0-9a-f]{16})"; HttpOnly', cookie or "")
    assert found, cookie
    assert set(balanced.asked(8, cookie=f"user={found[1]}")) == {name}


def test_3_1_passthrough_knows_no_ejections(balanced: Balanced) -> None:
    balanced.by(simple="PASSTHROUGH")
    victim = balanced.members[0]
    before, victim.status = len(victim.requests), 503
    try:
        wait_until(lambda: balanced.ask() and balanced.replica.waypoint.ejections(), 15, "it is ejected")
        again = len(victim.requests)
        wait_until(lambda: balanced.ask() and len(victim.requests) > again + 3, 15, "and asked all the same")
        assert before < again
    finally:
        victim.status = 200


def test_who_fails_is_ejected_whatever_the_algorithm(balanced: Balanced) -> None:
    balanced.by(consistentHash={"httpHeaderName": "x-user"})
    name, _ = balanced.ask(x_user="me")
    (victim,) = [member for member in balanced.members if member.name.endswith(name)]
    victim.status = 503
    try:
        answers = [balanced.ask(x_user="me")[0] for _ in range(10)]
        others = [each for each in answers if each.endswith(name)]
        assert len(set(answers) - set(others)) <= 2
        assert balanced.ask(x_user="me")[0] not in (name, "")
    finally:
        victim.status = 200
