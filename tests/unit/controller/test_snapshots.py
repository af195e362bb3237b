"""Snapshots: numbers, deltas, and slots that are not reused too early."""

from dataclasses import replace

import pytest

from proxy.controller.slots import QUARANTINE_S
from proxy.controller.snapshots import Snapshots
from proxy.ipc.snapshot import Body, unpack
from proxy.mesh.model import Endpoint, Listener
from tests.unit.controller.controller_rig import (
    ADDRESS,
    LISTENERS,
    TLS,
    A,
    B,
    Board,
    as_scoreboard,
    cluster,
    http,
    of,
)


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def snapshots(board: Board) -> Snapshots:
    return Snapshots(as_scoreboard(board))


def body(snapshots: Snapshots, since: int) -> Body:
    return unpack(snapshots.body(since))


def test_the_first_body_has_everything(snapshots: Snapshots) -> None:
    assert snapshots.update(LISTENERS, of(A, B), 0.0)
    assert snapshots.number == 1
    found = body(snapshots, 0)
    assert (found["number"], found["full"], found["removed"]) == (1, True, [])
    assert found["listeners"] == [
        {
            "name": "http",
            "address": ADDRESS,
            "protocol": "HTTP",
            "full": True,
            "services": {"a": {"a": [b"a", b"a:80"]}},
            "removed": [],
        }
    ]
    assert "tls" in found
    assert found["tls"] is None
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
            "min_health_percent": 0,
            "http_error_codes": [],
            "probe": False,
            "local_origin_quorum": 1,
            "consecutive_gateway": 0,
            "split_local_origin": False,
            "consecutive_local_origin": 5,
            "success_rate": None,
            "failure_percentage": None,
        },
        "balance": {"algorithm": "round_robin", "table_size": 0},
        "origination": None,
        "proxy_protocol": 0,
        "pool": {},
        "retry": {
            "attempts": 2,
            "attempt_ms": 0,
            "timeout_ms": 0,
            "pause_ms": 25,
            "longest_pause_ms": 250,
            "least_pause_ms": 0,
        },
        "destination_rule": "",
        "protocol": "http",
        "http2": "never",
        "profiles": [],
        "endpoints": [
            {
                "ip": f"10.0.0.{number}",
                "port": 80,
                "workload": f"pod-10.0.0.{number}",
                "hbone": False,
                "identity": "",
                "profile": -1,
                "weight": 1,
                "slot": number - 1,
            }
            for number in (1, 2)
        ],
    }


def test_the_same_again_is_no_snapshot(snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A, B), 0.0)
    assert not snapshots.update(LISTENERS, of(A, B), 1.0)
    assert snapshots.number == 1


def test_bodies_say_how_endpoints_are_reached_and_what_ports_speak(snapshots: Snapshots) -> None:
    tunnelled = Endpoint("10.0.0.1", 80, "pod-10.0.0.1", True, "ns/shop/sa/cart")
    snapshots.update(LISTENERS, of(replace(A, endpoints=(tunnelled,), protocol="tcp")), 0.0)
    (found,) = body(snapshots, 0)["clusters"]
    (endpoint,) = found["endpoints"]
    assert found["protocol"] == "tcp"
    assert (endpoint["hbone"], endpoint["identity"]) == (True, "ns/shop/sa/cart")


def test_an_endpoint_that_is_captured_later_keeps_its_slot(snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A, B), 0.0)
    first = A.endpoints[0]
    captured = replace(first, hbone=True, identity="ns/shop/sa/cart")
    assert snapshots.update(LISTENERS, of(replace(A, endpoints=(captured, A.endpoints[1])), B), 0.0)
    (found,) = body(snapshots, 1)["clusters"]
    assert [(each["slot"], each["hbone"]) for each in found["endpoints"]] == [(0, True), (1, False)]


def test_names_go_as_the_bytes_that_requests_have(snapshots: Snapshots) -> None:
    mesh = Listener("mesh", 15008, "HBONE", {"shop/a": {"a": ("[fd00::1]:80", "a:80"), "b": ()}})
    snapshots.update({"0.0.0.0:15008": mesh}, of(A, B), 0.0)
    (found,) = body(snapshots, 0)["listeners"]
    assert found["services"] == {"shop/a": {"a": [b"[fd00::1]:80", b"a:80"], "b": []}}


def test_of_a_listener_go_the_services_that_changed(snapshots: Snapshots) -> None:
    snapshots.update(http(a={"a": ("a",)}, b={"b": ("b",)}), of(A, B), 0.0)
    assert snapshots.update(http(a={"a": ("a",)}, b={"b": ("b", "b:80")}), of(A, B), 0.0)
    assert snapshots.update(http(b={"b": ("b", "b:80")}), of(A, B), 0.0)
    (since_1,), (since_2,), (since_3,) = (body(snapshots, since)["listeners"] for since in (1, 2, 3))
    assert (since_1["full"], since_1["services"], since_1["removed"]) == (False, {"b": {"b": [b"b", b"b:80"]}}, ["a"])
    assert (since_2["services"], since_2["removed"]) == ({}, ["a"])
    assert (since_3["services"], since_3["removed"]) == ({}, [])


def test_another_order_of_a_services_clusters_is_a_change(snapshots: Snapshots) -> None:
    snapshots.update(http(a={"a": (), "b": ()}), of(A, B), 0.0)
    assert snapshots.update(http(a={"b": (), "a": ()}), of(A, B), 0.0)
    assert list(body(snapshots, 1)["listeners"][0]["services"]["a"]) == ["b", "a"]


def test_a_listener_that_came_back_is_told_whole(snapshots: Snapshots) -> None:
    """Whoever had it before may have more of it than there is now."""
    snapshots.update(http(a={"a": ("a",)}, b={"b": ("b",)}), of(A, B), 0.0)
    snapshots.update({}, of(A, B), 0.0)
    snapshots.update(http(b={"b": ("b",)}), of(A, B), 0.0)
    (found,) = body(snapshots, 1)["listeners"]
    assert (found["full"], found["services"], found["removed"]) == (True, {"b": {"b": [b"b"]}}, [])
    assert body(snapshots, 3)["listeners"][0]["full"] is False


def test_a_listener_of_another_protocol_is_another_listener(snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A), 0.0)
    assert snapshots.update({ADDRESS: replace(LISTENERS[ADDRESS], protocol="HBONE")}, of(A), 0.0)
    (found,) = body(snapshots, 1)["listeners"]
    assert (found["protocol"], found["full"]) == ("HBONE", True)


def test_what_is_equal_is_no_change_though_it_is_another_object(snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A, B), 0.0)
    same = replace(A, endpoints=tuple(replace(each) for each in A.endpoints))
    assert not snapshots.update(http(a={"a": ("a", "a:80")}), of(same, B), 0.0)
    assert snapshots.update(http(a={"a": ("a",)}), of(same, B), 0.0)


def test_certificates_are_part_of_what_makes_a_snapshot_new_and_go_to_who_lacks_them(snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A), 0.0)
    assert snapshots.update(LISTENERS, of(A), 0.0, TLS)
    same = TLS.copy()
    assert not snapshots.update(LISTENERS, of(A), 0.0, same)
    assert [body(snapshots, since).get("tls", "as before") for since in (0, 1, 2)] == [TLS, TLS, "as before"]
    assert body(snapshots, 1)["clusters"] == []
    renewed = TLS.copy()
    renewed["key"] = b"new"
    assert snapshots.update(LISTENERS, of(A), 0.0, renewed)
    assert body(snapshots, 2).get("tls") == renewed
    assert snapshots.update(LISTENERS, of(A), 0.0)
    assert body(snapshots, 3).get("tls", "as before") is None
    assert snapshots.number == 4


def test_a_new_controller_knows_the_certificates_that_were_kept(board: Board, snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A), 0.0, TLS)
    successor = Snapshots(as_scoreboard(board))
    successor.restore([body(snapshots, 0)])
    assert successor.tls == TLS
    assert not successor.update(LISTENERS, of(A), 0.0, TLS)


def test_a_worker_gets_what_changed_since_the_number_it_has(snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A, B), 0.0)
    snapshots.update(LISTENERS, of(replace(A, closed="why"), B), 0.0)
    snapshots.update(LISTENERS, of(replace(A, closed="why")), 0.0)
    since_1, since_2, since_3 = (body(snapshots, since) for since in (1, 2, 3))
    assert [each["name"] for each in since_1["clusters"]] == ["a"]
    assert since_1["removed"] == since_2["removed"] == ["b"]
    assert (since_2["clusters"], since_2["full"]) == ([], False)
    assert (since_3["clusters"], since_3["removed"]) == ([], [])


def test_what_was_removed_and_came_back_is_sent_as_changed(snapshots: Snapshots) -> None:
    for clusters in ([A, B], [A], [A, B]):
        snapshots.update(LISTENERS, of(*clusters), 0.0)
    since_1 = body(snapshots, 1)
    assert [each["name"] for each in since_1["clusters"]] == ["b"]
    assert since_1["removed"] == []


def test_endpoints_keep_their_slots_through_changes(snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A), 0.0)
    snapshots.update(LISTENERS, of(cluster("a", "10.0.0.2", "10.0.0.9")), 0.0)
    found = {each["ip"]: each["slot"] for each in snapshots.clusters["a"]["endpoints"]}
    assert found == {"10.0.0.2": 1, "10.0.0.9": 2}


def test_the_same_ip_under_another_workload_is_another_endpoint(snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(B), 0.0)
    snapshots.update(LISTENERS, of(replace(B, endpoints=(Endpoint("10.0.0.3", 80, "new-pod"),))), 0.0)
    assert snapshots.clusters["b"]["endpoints"][0]["slot"] == 1


def test_slots_come_free_when_all_workers_know_nothing_is_in_flight_and_time_has_passed(
    board: Board, snapshots: Snapshots
) -> None:
    snapshots.update(LISTENERS, of(A, B), 0.0)
    snapshots.update(LISTENERS, of(A), 0.0)
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
    assert "b" in board.clusters.slots()  # its slot named the owner of the endpoints until now
    snapshots.settle(late)
    assert "b" not in board.clusters.slots()
    snapshots.update(LISTENERS, of(A, cluster("c", "10.0.0.4")), late)
    assert snapshots.clusters["c"]["slot"] == 1
    assert snapshots.clusters["c"]["endpoints"][0]["slot"] == 2


def test_what_comes_back_in_time_keeps_its_slot(board: Board, snapshots: Snapshots) -> None:
    for clusters in ([A, B], [A], [A, B]):
        snapshots.update(LISTENERS, of(*clusters), 0.0)
    board.snapshots = [3]
    for _ in range(2):
        snapshots.settle(100.0)
    assert snapshots.clusters["b"]["slot"] == board.clusters.slots()["b"] == 1
    assert len(board.endpoints.slots()) == 3


def test_history_is_forgotten_once_all_have_it(board: Board, snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A, B), 0.0)
    snapshots.update(LISTENERS, of(A), 0.0)
    board.snapshots = [2]
    snapshots.settle(0.0)
    assert body(snapshots, 2)["removed"] == [] == body(snapshots, 1)["removed"]


def test_a_full_scoreboard_keeps_the_last_snapshot_and_gives_back_what_it_took() -> None:
    board = Board(endpoints=3)
    snapshots = Snapshots(as_scoreboard(board))
    snapshots.update(LISTENERS, of(A), 0.0)
    with pytest.raises(MemoryError):
        snapshots.update(LISTENERS, of(A, cluster("c", "1.1.1.1", "1.1.1.2")), 0.0)
    assert snapshots.number == 1
    assert list(snapshots.clusters) == ["a"]
    board.snapshots = [1]
    assert [snapshots.settle(QUARANTINE_S) for _ in range(3)] == [True, True, False], "it may fit now"
    assert (len(board.endpoints.slots()), list(board.clusters.slots())) == (2, ["a"])
    assert snapshots.update(LISTENERS, of(A, cluster("c", "1.1.1.1")), 0.0)


def test_a_new_controller_continues_from_what_was_kept(board: Board, snapshots: Snapshots) -> None:
    snapshots.update(LISTENERS, of(A, B), 0.0)
    snapshots.update(LISTENERS, of(A), 0.0)
    successor = Snapshots(as_scoreboard(board))
    successor.restore([body(snapshots, 0)])
    assert not successor.update(LISTENERS, of(A), 0.0)
    assert successor.number == 2
    assert successor.update(LISTENERS, of(A, B), 0.0)
    assert successor.number == 3
    assert body(successor, 2)["full"] is False
    assert [each["name"] for each in body(successor, 2)["clusters"]] == ["b"]
    assert body(successor, 1)["full"] is True  # what 2 removed is not known any more
    assert successor.clusters["b"]["slot"] == 1


def test_a_new_controller_without_a_body_numbers_above_the_workers(snapshots: Snapshots) -> None:
    snapshots.begin_after(7)
    assert snapshots.update(LISTENERS, of(A), 0.0)
    assert snapshots.number == 8
    assert body(snapshots, 7)["full"] is True  # nobody knows what 7 was
    assert body(snapshots, 8)["full"] is False
