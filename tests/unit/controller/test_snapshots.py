"""Snapshots: numbers, deltas, and slots that are not reused too early."""

from dataclasses import replace
from types import SimpleNamespace

import msgpack
import pytest

from proxy.controller.snapshots import QUARANTINE_S, Snapshots, listener_wire
from proxy.mesh.model import Cluster, Endpoint, Listener, OutlierDetection


class Slots:
    """Rows of one kind: whose each is."""

    def __init__(self, most):
        self.taken, self.most = {}, most

    def add(self, *key):
        if len(self.taken) >= self.most:
            raise MemoryError("the scoreboard is full")
        key = key if len(key) > 1 else key[0]
        assert key not in self.taken
        slot = self.taken[key] = next(slot for slot in range(10_000) if slot not in self.taken.values())
        return slot

    def remove(self, slot):
        self.taken = {key: each for key, each in self.taken.items() if each != slot}

    def slots(self):
        return dict(self.taken)


class Board:
    """A scoreboard of dictionaries."""

    def __init__(self, endpoints=1000):
        self.clusters, self.endpoints, self.workers = Slots(1000), Slots(endpoints), SimpleNamespace(rows=self._workers)
        self.endpoints.row = lambda slot: SimpleNamespace(in_flight=self.in_flight.get(slot, 0))
        self.snapshots, self.in_flight = [], {}

    def _workers(self):
        return [SimpleNamespace(snapshot=number) for number in self.snapshots]


def cluster(name, *ips, **more):
    return Cluster(name, f"envoy {name}", name, tuple(Endpoint(ip, 80, f"pod-{ip}") for ip in ips), **more)


A = cluster("a", "10.0.0.1", "10.0.0.2", outlier=OutlierDetection(3, 10000, 30000, 50))
B = cluster("b", "10.0.0.3")
LISTENERS = [listener_wire(Listener("http", 80, "HTTP", {"ns/a": {"a": ("a", "a:80")}}), "127.0.0.1:80")]
TLS = {"chain": b"chain", "key": b"key", "roots": b"roots", "trust_domains": ["cluster.local", "old.local"]}


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def snapshots(board):
    return Snapshots(board)


def body(snapshots, since):
    return msgpack.unpackb(snapshots.body(since))


def test_the_first_body_has_everything(snapshots):
    assert snapshots.update(LISTENERS, [A, B], 0.0)
    assert snapshots.number == 1
    found = body(snapshots, 0)
    assert (found["number"], found["full"], found["removed"]) == (1, True, [])
    routes = {b"a": "a", b"a:80": "a"}
    assert found["tls"] is None
    assert found["listeners"] == [
        {"name": "http", "address": "127.0.0.1:80", "protocol": "HTTP", "routes": routes, "clusters": ["a"]}
    ]
    assert found["clusters"][0] == {
        "name": "a",
        "slot": 0,
        "envoy_name": "envoy a",
        "authority": "a",
        "connect_timeout_ms": 1000,
        "abandoned_ms": 1000,
        "closed": "",
        "outlier": {
            "consecutive_5xx": 3,
            "interval_ms": 10000,
            "base_ejection_ms": 30000,
            "max_ejection_percent": 50,
            "probe": False,
            "local_origin_quorum": 1,
        },
        "destination_rule": "",
        "protocol": "http",
        "endpoints": [
            {"ip": "10.0.0.1", "port": 80, "workload": "pod-10.0.0.1", "hbone": False, "identity": "", "slot": 0},
            {"ip": "10.0.0.2", "port": 80, "workload": "pod-10.0.0.2", "hbone": False, "identity": "", "slot": 1},
        ],
    }


def test_the_same_again_is_no_snapshot(snapshots):
    snapshots.update(LISTENERS, [A, B], 0.0)
    assert not snapshots.update(LISTENERS, [A, B], 1.0)
    assert snapshots.number == 1


def test_bodies_say_how_endpoints_are_reached_and_what_ports_speak(snapshots):
    tunnelled = Endpoint("10.0.0.1", 80, "pod-10.0.0.1", True, "ns/shop/sa/cart")
    snapshots.update(LISTENERS, [replace(A, endpoints=(tunnelled,), protocol="tcp")], 0.0)
    (found,) = body(snapshots, 0)["clusters"]
    (endpoint,) = found["endpoints"]
    assert found["protocol"] == "tcp"
    assert (endpoint["hbone"], endpoint["identity"]) == (True, "ns/shop/sa/cart")


def test_an_endpoint_that_is_captured_later_keeps_its_slot(snapshots):
    snapshots.update(LISTENERS, [A, B], 0.0)
    first = A.endpoints[0]
    captured = replace(first, hbone=True, identity="ns/shop/sa/cart")
    assert snapshots.update(LISTENERS, [replace(A, endpoints=(captured, A.endpoints[1])), B], 0.0)
    (found,) = body(snapshots, 1)["clusters"]
    assert [(each["slot"], each["hbone"]) for each in found["endpoints"]] == [(0, True), (1, False)]


def test_an_hbone_listener_in_wire_form():
    listener = Listener("mesh", 15008, "HBONE", {"ns/a": {"a": ("[fd00::1]:80", "a:80"), "b": ()}})
    assert listener_wire(listener, "0.0.0.0:15008") == {
        "name": "mesh",
        "address": "0.0.0.0:15008",
        "protocol": "HBONE",
        "routes": {b"[fd00::1]:80": "a", b"a:80": "a"},
        "clusters": ["a", "b"],
    }


def test_certificates_are_part_of_what_makes_a_snapshot_new_and_go_to_everybody(snapshots):
    snapshots.update(LISTENERS, [A], 0.0)
    assert snapshots.update(LISTENERS, [A], 0.0, TLS)
    assert not snapshots.update(LISTENERS, [A], 0.0, dict(TLS))
    assert [body(snapshots, since)["tls"] for since in (0, 1, 2)] == [TLS] * 3
    assert body(snapshots, 1)["clusters"] == []
    assert snapshots.update(LISTENERS, [A], 0.0, TLS | {"key": b"new"})
    assert body(snapshots, 2)["tls"]["key"] == b"new"
    assert snapshots.update(LISTENERS, [A], 0.0)
    assert body(snapshots, 3)["tls"] is None
    assert snapshots.number == 4


def test_a_new_controller_knows_the_certificates_that_were_kept(board, snapshots):
    snapshots.update(LISTENERS, [A], 0.0, TLS)
    successor = Snapshots(board)
    successor.restore(snapshots.body(0))
    assert successor.tls == TLS
    assert not successor.update(LISTENERS, [A], 0.0, TLS)


def test_a_worker_gets_what_changed_since_the_number_it_has(snapshots):
    snapshots.update(LISTENERS, [A, B], 0.0)
    snapshots.update(LISTENERS, [replace(A, closed="why"), B], 0.0)
    snapshots.update(LISTENERS, [replace(A, closed="why")], 0.0)
    since_1, since_2, since_3 = (body(snapshots, since) for since in (1, 2, 3))
    assert [each["name"] for each in since_1["clusters"]] == ["a"]
    assert since_1["removed"] == since_2["removed"] == ["b"]
    assert (since_2["clusters"], since_2["full"]) == ([], False)
    assert (since_3["clusters"], since_3["removed"]) == ([], [])


def test_what_was_removed_and_came_back_is_sent_as_changed(snapshots):
    for clusters in ([A, B], [A], [A, B]):
        snapshots.update(LISTENERS, clusters, 0.0)
    since_1 = body(snapshots, 1)
    assert [each["name"] for each in since_1["clusters"]] == ["b"]
    assert since_1["removed"] == []


def test_endpoints_keep_their_slots_through_changes(snapshots):
    snapshots.update(LISTENERS, [A], 0.0)
    snapshots.update(LISTENERS, [cluster("a", "10.0.0.2", "10.0.0.9")], 0.0)
    found = {each["ip"]: each["slot"] for each in snapshots.clusters["a"]["endpoints"]}
    assert found == {"10.0.0.2": 1, "10.0.0.9": 2}


def test_the_same_ip_under_another_workload_is_another_endpoint(snapshots):
    snapshots.update(LISTENERS, [B], 0.0)
    snapshots.update(LISTENERS, [replace(B, endpoints=(Endpoint("10.0.0.3", 80, "new-pod"),))], 0.0)
    assert snapshots.clusters["b"]["endpoints"][0]["slot"] == 1


def test_slots_come_free_when_all_workers_know_nothing_is_in_flight_and_time_has_passed(board, snapshots):
    snapshots.update(LISTENERS, [A, B], 0.0)
    snapshots.update(LISTENERS, [A], 0.0)
    late = QUARANTINE_S + 1
    board.snapshots, board.in_flight = [2, 1], {2: 1}
    snapshots.settle(late)
    assert len(board.endpoints.slots()) == 3  # a worker has not acknowledged
    board.snapshots = [2, 2]
    snapshots.settle(late)
    assert len(board.endpoints.slots()) == 3  # in flight
    board.in_flight = {}
    snapshots.settle(QUARANTINE_S - 1)
    assert len(board.endpoints.slots()) == 3  # too early
    snapshots.settle(late)
    assert len(board.endpoints.slots()) == 2
    assert "b" in board.clusters.slots()  # its slot named the endpoints' owner until now
    snapshots.settle(late)
    assert "b" not in board.clusters.slots()
    snapshots.update(LISTENERS, [A, cluster("c", "10.0.0.4")], late)
    assert snapshots.clusters["c"]["slot"] == 1
    assert snapshots.clusters["c"]["endpoints"][0]["slot"] == 2


def test_what_comes_back_in_time_keeps_its_slot(board, snapshots):
    for clusters in ([A, B], [A], [A, B]):
        snapshots.update(LISTENERS, clusters, 0.0)
    board.snapshots = [3]
    for _ in range(2):
        snapshots.settle(100.0)
    assert snapshots.clusters["b"]["slot"] == board.clusters.slots()["b"] == 1
    assert len(board.endpoints.slots()) == 3


def test_history_is_forgotten_once_all_have_it(board, snapshots):
    snapshots.update(LISTENERS, [A, B], 0.0)
    snapshots.update(LISTENERS, [A], 0.0)
    board.snapshots = [2]
    snapshots.settle(0.0)
    assert body(snapshots, 2)["removed"] == [] == body(snapshots, 1)["removed"]


def test_a_full_scoreboard_keeps_the_last_snapshot_and_gives_back_what_it_took():
    board = Board(endpoints=3)
    snapshots = Snapshots(board)
    snapshots.update(LISTENERS, [A], 0.0)
    with pytest.raises(MemoryError):
        snapshots.update(LISTENERS, [A, cluster("c", "1.1.1.1", "1.1.1.2")], 0.0)
    assert snapshots.number == 1
    assert list(snapshots.clusters) == ["a"]
    board.snapshots = [1]
    for _ in range(2):
        snapshots.settle(QUARANTINE_S)
    assert (len(board.endpoints.slots()), list(board.clusters.slots())) == (2, ["a"])


def test_a_new_controller_continues_from_what_was_kept(board, snapshots):
    snapshots.update(LISTENERS, [A, B], 0.0)
    snapshots.update(LISTENERS, [A], 0.0)
    successor = Snapshots(board)
    successor.restore(snapshots.body(0))
    assert not successor.update(LISTENERS, [A], 0.0)
    assert successor.number == 2
    assert successor.update(LISTENERS, [A, B], 0.0)
    assert successor.number == 3
    assert body(successor, 2)["full"] is False
    assert [each["name"] for each in body(successor, 2)["clusters"]] == ["b"]
    assert body(successor, 1)["full"] is True  # what 2 removed is not known any more
    assert successor.clusters["b"]["slot"] == 1


def test_a_new_controller_without_a_body_numbers_above_the_workers(snapshots):
    snapshots.begin_after(7)
    assert snapshots.update(LISTENERS, [A], 0.0)
    assert snapshots.number == 8
    assert body(snapshots, 7)["full"] is True  # nobody knows what 7 was
    assert body(snapshots, 8)["full"] is False
