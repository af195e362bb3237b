"""Clusters of names, with a DNS server whose answers change, fail and are not given: no request notices."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.rcode

from tests.dns_rig import DnsServer, dns_server
from tests.rig import Background, Endpoint, Replica, endpoints, get, manifests_for, replica, stays, wait_until

HOST = "api.test"


def service_entry(port: int, name: str = "api", **spec: Any) -> dict[str, Any]:
    """Of the host NAME.test, whose endpoints are what DNS says, at `port`."""
    ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "httpbin"},
        "spec": {"hosts": [f"{name}.test"], "ports": ports, "resolution": "DNS", **spec},
    }


class Rig:
    """A replica with three endpoints, the first of which is the guide's Service, and a ServiceEntry by name."""

    def __init__(self, replica: Replica, server: DnsServer, members: list[Endpoint]) -> None:
        self.replica = replica
        self.server = server
        self.members = members

    def status(self, host: str = HOST) -> int:
        return get(self.replica.port, "/hostname", host)[0]

    def answering(self) -> set[str]:
        """Which endpoints answer, of four requests in a row."""
        return {get(self.replica.port, "/hostname", HOST)[1].strip() for _ in range(4)}

    def known(self) -> Any:
        return self.replica.info("/config_dump")["names"].get(HOST, {"failures": 0})

    def asked_again(self, times: int = 2) -> None:
        """Wait until DNS has been asked that often from now on."""
        before = self.server.asked_for(HOST)
        wait_until(lambda: self.server.asked_for(HOST) >= before + times, 20, f"{times} questions")


@contextlib.contextmanager
def rig_of(directory: Path, server: DnsServer, *, workers: int = 1, **spec: Any) -> Iterator[Rig]:
    with endpoints(3) as members, manifests_for(members[:1]) as (manifests, port):
        manifests.put("entry", service_entry(members[0].port, **spec))
        arguments = ("--name-servers", server.address)
        with replica(directory, manifests, port, *arguments, workers=workers) as made:
            yield Rig(made, server, members)


def test_answers_that_change_are_followed_and_no_request_fails(tmp_path: Path) -> None:
    with dns_server(api=[]) as server, rig_of(tmp_path, server, workers=2) as rig:
        first, second, third = rig.members
        server.records[HOST] = [first.ip]
        wait_until(lambda: rig.answering() == {first.name}, 10, "the first answer")
        statuses: list[int] = []

        def ask() -> None:
            while not traffic.stopping.is_set():
                statuses.append(rig.status())

        traffic = Background(ask)
        with traffic:
            server.records[HOST] = [second.ip, third.ip]
            wait_until(lambda: first.name not in rig.answering(), 10, "the second answer")
            server.records[HOST] = [first.ip]
            wait_until(lambda: rig.answering() == {first.name}, 10, "the third answer")
        assert set(statuses) == {200}
        assert rig.known()["addresses"] == [first.ip]


def test_an_answer_in_another_order_is_no_news(tmp_path: Path) -> None:
    with dns_server(api=[]) as server, rig_of(tmp_path, server) as rig:
        server.records[HOST], server.rotates = [each.ip for each in rig.members], True
        wait_until(lambda: rig.answering() == {each.name for each in rig.members}, 10, "all endpoints")
        before = rig.replica.info()["snapshot"]
        rig.asked_again(3)
        assert rig.replica.info()["snapshot"] == before


def fail(server: DnsServer, how: str) -> None:
    server.rcode = dns.rcode.SERVFAIL if how == "SERVFAIL" else dns.rcode.NOERROR
    if how != "SERVFAIL":
        server.records = {HOST: []} if how == "no address" else {}


def test_the_last_good_answer_is_kept_when_dns_fails(tmp_path: Path) -> None:
    """That it says nothing at all is part of the tests below."""
    with dns_server(api=[]) as server, rig_of(tmp_path, server) as rig:
        for how, member in zip(("SERVFAIL", "NXDOMAIN", "no address"), rig.members, strict=True):
            server.rcode, server.records = dns.rcode.NOERROR, {HOST: [member.ip]}
            wait_until(lambda name=member.name: rig.answering() == {name}, 20, "an answer")
            fail(server, how)
            wait_until(lambda: rig.known()["failures"], 20, "a failure")
            assert how in rig.known()["error"]
            assert rig.answering() == {member.name} and rig.known()["addresses"] == [member.ip]
            told = [line for line in rig.replica.waypoint.errors().splitlines() if f"going on with {member.ip}" in line]
            assert len(told) == 1 and how in told[0], told
        assert f"{HOST}: answered again" in rig.replica.waypoint.errors()


def test_a_name_that_was_never_answered_is_503_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    with dns_server() as server:
        server.silent = True
        with rig_of(tmp_path, server) as rig:  # it becomes ready
            assert rig.status() == 503
            (line,) = wait_until(lambda: rig.replica.waypoint.lines(f"|{HOST}"), what="its line")
            assert '" 503 UH no_healthy_upstream ' in line
            assert rig.replica.hostname() == rig.members[0].name[-5:], "another cluster"
            server.silent, server.records[HOST] = False, [rig.members[0].ip]
            wait_until(lambda: rig.status() == 200, 30, "the first answer")


def test_a_new_controller_goes_on_with_what_the_former_one_knew(tmp_path: Path) -> None:
    with dns_server(api=[]) as server, rig_of(tmp_path, server) as rig:
        first = rig.members[0]
        server.records[HOST] = [first.ip]
        wait_until(lambda: rig.answering() == {first.name}, 10, "the first answer")
        server.silent = True
        before = rig.replica.info()
        os.kill(before["controller_pid"], signal.SIGKILL)

        def is_replaced() -> bool:
            with contextlib.suppress(OSError):
                return bool(rig.replica.info()["controller_pid"] != before["controller_pid"])
            return False

        wait_until(is_replaced, 15, "a new controller")
        wait_until(lambda: rig.known()["failures"], 20, "it has asked in vain")
        assert rig.known()["addresses"] == [first.ip]
        stays(lambda: rig.status() == 200, 0.5, "requests are served")
        assert rig.replica.info()["snapshot"] == before["snapshot"], "there was no news for workers"


def test_dns_round_robin_uses_the_first_answer(tmp_path: Path) -> None:
    with dns_server(api=[]) as server, rig_of(tmp_path, server, resolution="DNS_ROUND_ROBIN") as rig:
        first, second, third = rig.members
        server.records[HOST] = [second.ip, third.ip]
        wait_until(lambda: rig.answering() == {second.name}, 10, "the first of two")
        server.records[HOST] = [first.ip]
        wait_until(lambda: rig.answering() == {first.name}, 10, "the only one")
