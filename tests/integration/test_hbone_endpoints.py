"""Endpoints behind destination ztunnels that fail in every way: what clients see of it, and what is ejected when."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.hbone.destination import Destination
from tests.hbone.identities import Authority, spiffe
from tests.integration.hbone_rig import HboneBench, Served, hbone_bench, outlier_rule, serve_name
from tests.integration.http_rig import Handler, Peer, Scripted, answering, unique
from tests.manifests import pod
from tests.rig import wait_until

TRIALS = 28
FAILING = answering(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")


@dataclass
class Trial:
    """A Service of a test's own: three endpoints behind ztunnels, of which three failures in a row eject."""

    proxy: HboneBench
    name: str

    @property
    def members(self) -> list[Scripted]:
        return self.proxy.services[self.name]

    @property
    def victim(self) -> Scripted:
        return self.members[0]

    @property
    def ztunnel(self) -> Destination:
        """The victim's."""
        return self.proxy.destination(self.victim)

    @property
    def names(self) -> list[str]:
        return [member.name for member in self.members]

    def play(self, handler: Handler) -> None:
        self.proxy.play(self.name, handler)

    def ask(self, count: int) -> list[str]:
        return self.proxy.ask(self.name, count=count)

    def failures(self) -> int:
        return self.proxy.failures(self.name)

    def is_out(self) -> None:
        wait_until(lambda: self.proxy.ejected(self.name) == [self.victim.address], 2, "ejected")

    def survives(self, count: int = 12) -> None:
        """No client sees it, and it is ejected for three failed attempts."""
        answers = self.ask(count)
        assert set(answers) == set(self.names[1:]), answers
        self.is_out()
        told = f"endpoint={self.victim.address} "
        (line,) = wait_until(lambda: self.proxy.waypoint.lines(told), 2, "the line")
        assert f'workload="{self.victim.name}"' in line
        assert self.failures() == 3


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [Served(f"trial{number}", count=3, rule=outlier_rule(f"trial{number}")) for number in range(TRIALS)]
    with hbone_bench(tmp_path_factory.mktemp("endpoints"), *served, Served("solo")) as running:
        yield running


@pytest.fixture(scope="module")
def fresh() -> Iterator[int]:
    return iter(range(TRIALS))


@pytest.fixture
def trial(proxy: HboneBench, fresh: Iterator[int]) -> Trial:
    made = Trial(proxy, f"trial{next(fresh)}")
    made.play(serve_name)
    assert sorted(made.ask(3)) == made.names
    made.ztunnel.forget()
    return made


# -- those that cannot be reached -------------------------------------------------------------------------------------


def test_an_app_killed_behind_a_live_ztunnel(trial: Trial) -> None:
    trial.victim.stop()
    trial.survives()
    assert [connect.status for connect in trial.ztunnel.connects] == [503, 503, 503]


def test_2_6_nothing_on_15008(trial: Trial) -> None:
    trial.ztunnel.stop()
    trial.survives()


def test_a_pod_that_is_gone(trial: Trial) -> None:
    trial.ztunnel.stop()
    trial.victim.stop()
    trial.survives()


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_2_6_ztunnel_answers_CONNECT_with_a_refusal(trial: Trial, status: int) -> None:
    trial.ztunnel.answer = status
    trial.victim.drop()
    trial.survives()


def test_a_ztunnel_that_does_not_answer(trial: Trial) -> None:
    """The connect timeout is for all of it."""
    rule = outlier_rule(trial.name)
    rule["spec"]["trafficPolicy"]["connectionPool"] = {"tcp": {"connectTimeout": "200ms"}}
    trial.proxy.manifests.put(f"rule-{trial.name}", rule)
    trial.ztunnel.hold.clear()

    def quick() -> bool:
        trial.victim.drop()
        began = time.monotonic()
        trial.ask(3)
        return time.monotonic() - began < 2

    try:
        wait_until(quick, 8, "the timeout is known")
        trial.ask(12)
        trial.is_out()
        assert {connect.status for connect in trial.ztunnel.connects[-3:]} == {0}
    finally:
        trial.ztunnel.hold.set()


WRONG = {
    "trust domain": spiffe("in-ambient", "httpbin", "evil.example"),
    "account": spiffe("somebody-else"),
    "namespace": spiffe("in-ambient", "elsewhere"),
}


@pytest.mark.parametrize("kind", [*WRONG, "another mesh", "expired"])
def test_an_endpoint_with_the_wrong_certificate(trial: Trial, kind: str) -> None:
    ca = Authority() if kind == "another mesh" else trial.proxy.mesh.ca
    trial.ztunnel.present(ca.leaf_of(WRONG.get(kind, spiffe("in-ambient")), -1.0 if kind == "expired" else 24.0))
    trial.ztunnel.drop()
    trial.victim.drop()
    trial.survives()
    assert not trial.ztunnel.connects, "nothing was asked of it"


def test_what_the_log_says_when_there_is_nobody_else(proxy: HboneBench) -> None:
    (solo,) = proxy.services["solo"]
    destination = proxy.destination(solo)

    def transport() -> str:
        path = unique()
        with proxy.client("solo") as client:
            head, body = client.ask("any", path)
            assert head.status == 503 and body.startswith(b"upstream connect error or disconnect/reset before headers")
        line = proxy.line(path)
        assert "UF" in line["flags"] and line["host"] == solo.address
        return line["transport"]

    solo.stop()
    assert transport() == "tunnel_response:503"
    destination.present(proxy.mesh.ca.leaf_of(WRONG["trust domain"]))
    destination.drop()
    assert "evil.example" in transport()
    destination.present(proxy.mesh.ca.leaf("in-ambient", hours=-1.0))
    destination.drop()
    assert "expired" in transport()
    destination.present(proxy.mesh.endpoint)
    destination.stop()
    assert transport()
    destination.start()
    solo.start()
    solo.handler = serve_name
    assert proxy.ask("solo") == ["solo-1"]


def test_an_endpoint_that_refuses_our_trust_domain(trial: Trial) -> None:
    """It ends the connection after the handshake, as TLS 1.3 has it."""
    trial.ztunnel.trust_domain = "elsewhere.example"
    trial.ztunnel.drop()
    trial.victim.drop()
    trial.survives()
    assert trial.ztunnel.refused[-1].endswith("/sa/httpbin-waypoint")


def test_an_endpoint_whose_account_is_unknown_needs_only_the_trust_domain(trial: Trial) -> None:
    body = pod(trial.victim.name, trial.victim.ip, captured=True)
    del body["spec"]["serviceAccountName"]
    trial.proxy.manifests.put(f"pod-{trial.victim.name}", body)
    trial.proxy.manifests.remove(f"rule-{trial.name}")
    trial.ztunnel.present(trial.proxy.mesh.ca.leaf("somebody-else", "elsewhere"))

    def accepted() -> bool:
        trial.ztunnel.drop()
        trial.victim.drop()
        return sorted(trial.ask(3)) == trial.names

    wait_until(accepted, 5, "any account will do")


# -- those that answer badly, or end ----------------------------------------------------------------------------------


def test_three_failing_answers(trial: Trial) -> None:
    trial.victim.play(FAILING)
    answers = trial.ask(20)
    assert answers.count("503") == 3
    assert set(answers[-8:]) == set(trial.names[1:])
    trial.is_out()


def test_ztunnels_restarted_under_idle_tunnels(trial: Trial) -> None:
    """Tunnels in the pool that are gone cost nobody an error and count for nothing."""
    for member in trial.members:
        trial.proxy.destination(member).stop()
        trial.proxy.destination(member).start()
    assert sorted(trial.ask(6)) == sorted(trial.names * 2)
    assert trial.failures() == 0


def test_ztunnels_that_drain(trial: Trial) -> None:
    """GOAWAY: what runs goes on, what is new goes over another connection."""
    release = threading.Event()

    def slow(peer: Peer) -> None:
        peer.request()
        release.wait(5)
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow")

    trial.play(slow)
    clients = [trial.proxy.client(trial.name) for _ in range(3)]
    for client in clients:
        client.request("any")
    wait_until(lambda: all(len(member.heads) == 1 for member in trial.members), 3, "all asked")
    for member in trial.members:
        for connection in trial.proxy.destination(member).alive():
            connection.goaway()
        member.handler = serve_name
    assert sorted(trial.ask(3)) == trial.names
    assert len(trial.ztunnel.alive()) == 2
    release.set()
    assert [client.answer()[1] for client in clients] == [b"slow"] * 3
    for client in clients:
        client.close()
    wait_until(lambda: len(trial.ztunnel.alive()) == 1, 5, "the old connection is closed when it is empty")
    assert trial.failures() == 0


def test_a_ztunnel_killed_with_a_request_on_its_way(trial: Trial) -> None:
    asked = threading.Event()

    def hang(peer: Peer) -> None:
        peer.request()
        asked.set()
        peer.more()

    trial.victim.play(hang)
    path = unique()
    clients = [trial.proxy.client(trial.name) for _ in range(3)]
    for client in clients:
        client.request("any", path, method="POST", body=b"x")
    assert asked.wait(3)
    trial.ztunnel.stop()
    answers = sorted(client.answer()[0].status for client in clients)
    assert answers == [200, 200, 503]
    for client in clients:
        client.close()
    told = partial(trial.proxy.waypoint.lines, path)
    (line,) = wait_until(lambda: [each for each in told() if " 503 " in each], 3, "the line")
    assert " 503 UC upstream_reset_before_response_started{connection_termination} " in line


@pytest.mark.parametrize("code", [0, 2, 8, 10])
def test_a_tunnel_reset_before_an_answer(trial: Trial, code: int) -> None:
    """However the ztunnel ends a tunnel: no answer has come, and the connection's other tunnels go on."""

    def hang(peer: Peer) -> None:
        peer.request()
        peer.more()

    trial.victim.play(hang)
    clients = [trial.proxy.client(trial.name) for _ in range(3)]
    for client in clients:
        client.request("any", method="POST", body=b"x")
    wait_until(lambda: trial.victim.heads, 3, "asked")
    (connection,) = trial.ztunnel.alive()
    for stream in list(connection.streams.values()):
        stream.cancel(code)
    assert sorted(client.answer()[0].status for client in clients) == [200, 200, 503]
    for client in clients:
        client.close()
    trial.victim.play(serve_name)
    assert sorted(trial.ask(3)) == trial.names
    assert trial.ztunnel.alive() == [connection]


# -- who is captured, and how much a connection takes -----------------------------------------------------------------


def test_a_pod_that_leaves_and_joins_the_mesh(trial: Trial) -> None:
    def tunnelled() -> bool:
        trial.ztunnel.forget()
        trial.victim.drop()
        assert sorted(trial.ask(3)) == trial.names
        return bool(trial.ztunnel.connects)

    assert tunnelled()
    for captured in (False, True):
        body = pod(trial.victim.name, trial.victim.ip, captured=captured)
        trial.proxy.manifests.put(f"pod-{trial.victim.name}", body)
        wait_until(lambda captured=captured: tunnelled() == captured, 5, f"captured: {captured}")


def test_no_more_streams_than_the_peer_takes(trial: Trial) -> None:
    """What does not fit goes over another connection or waits, and is answered."""
    for member in trial.members:
        destination = trial.proxy.destination(member)
        destination.settings[3] = 5
        destination.drop()
    gate = threading.Barrier(30, timeout=8)

    def handler(peer: Peer) -> None:
        peer.request()
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    trial.play(handler)
    clients = [trial.proxy.client(trial.name, timeout=15) for _ in range(30)]
    for client in clients:
        client.request("any")
    assert [client.answer()[0].status for client in clients] == [200] * 30
    for client in clients:
        client.close()
    for connection in trial.ztunnel.connections:
        assert connection.error is None, "h2 would refuse a sixth stream"
