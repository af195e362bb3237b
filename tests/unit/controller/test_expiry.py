"""Series are given up when what they are of has gone, some time after they were counted last, and never sooner."""

import time

import pytest

from proxy.controller.expiry import GRACE_S, LOOK_S, SILENT_S, Expiry
from proxy.controller.forms import cluster_form
from proxy.ipc.snapshot import ClusterForm
from proxy.mesh.model import Cluster, Endpoint, Profile
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.series import LIMIT
from tests.instruments.counting import Counter

GRACE_NS, LOOK_NS = int(GRACE_S * 1e9), int(LOOK_S * 1e9)


def form(workload: str, host: str = "in-ambient.httpbin.svc.cluster.local") -> ClusterForm:
    """As tests.instruments.counting counts it."""
    profile = Profile(workload, "httpbin", "", "v1", workload, "v1")
    endpoints = (Endpoint("10.0.0.1", 80, "pod", profile=profile),)
    return cluster_form(Cluster("httpbin/in-ambient:8000", "", f"{host}:8000", endpoints), 0, [0])


@pytest.fixture
def board() -> Scoreboard:
    made = Scoreboard.create()
    made.workers.start(0, 1000)
    return made


def look(expiry: Expiry, *forms: ClusterForm, now_ns: int) -> int:
    expiry.look(forms, now_ns)
    return now_ns + LOOK_NS + 1


def test_a_series_goes_with_its_workload(board: Scoreboard) -> None:
    Counter(board, 0, "old").request()
    Counter(board, 0, "new").request()
    expiry, now = Expiry(board), time.monotonic_ns()
    now = look(expiry, form("new"), now_ns=now + GRACE_NS // 2)
    assert not any(row.given_up for row in board.series.rows())
    now = look(expiry, form("new"), now_ns=now + GRACE_NS)
    assert [row.given_up for row in board.series.rows()] == [True, False]
    now = look(expiry, form("new"), now_ns=now)
    assert len(board.series.rows()) == 2  # the worker has not been anywhere since
    board.workers.turn(0)
    look(expiry, form("new"), now_ns=now)
    (left,) = board.series.rows()
    assert b"new" in left.labels


def test_a_series_goes_with_its_service(board: Scoreboard) -> None:
    Counter(board, 0).request()
    expiry, now = Expiry(board), time.monotonic_ns() + 2 * GRACE_NS
    now = look(expiry, form("in-ambient"), now_ns=now)
    now = look(expiry, form("in-ambient", "other.httpbin.svc.cluster.local"), now_ns=now)
    board.workers.turn(0)
    look(expiry, now_ns=now)
    assert board.series.rows() == []
    assert board.series.expired == 1


def test_a_worker_that_is_gone_is_not_waited_for(board: Scoreboard) -> None:
    Counter(board, 0).request()
    expiry = Expiry(board)
    now = look(expiry, now_ns=time.monotonic_ns() + 2 * GRACE_NS)
    board.workers.reap(0)
    look(expiry, now_ns=now)
    assert board.series.rows() == []


def test_what_is_counted_again_stays(board: Scoreboard) -> None:
    counter, expiry = Counter(board, 0), Expiry(board)
    counter.request()
    now = look(expiry, now_ns=time.monotonic_ns() + 2 * GRACE_NS)
    counter.request()
    board.workers.turn(0)
    look(expiry, now_ns=now)
    (row,) = board.series.rows()
    assert sum(board.series.totals(row.slot)[3:23]) == 2
    assert board.series.expired == 0


def test_a_new_controller_goes_on_with_what_was_given_up(board: Scoreboard) -> None:
    Counter(board, 0).request()
    now = look(Expiry(board), now_ns=time.monotonic_ns() + 2 * GRACE_NS)
    expiry = Expiry(board)
    now = look(expiry, now_ns=now)
    assert len(board.series.rows()) == 1
    board.workers.turn(0)
    look(expiry, now_ns=now)
    assert board.series.rows() == []


def test_an_open_connection_keeps_its_series(board: Scoreboard) -> None:
    counter, expiry = Counter(board, 0), Expiry(board)
    counter.open()
    now = look(expiry, now_ns=time.monotonic_ns() + 2 * GRACE_NS)
    board.workers.turn(0)
    now = look(expiry, now_ns=now)
    assert len(board.series.rows()) == 1
    counter.close()
    now = look(expiry, now_ns=now + 2 * GRACE_NS)
    board.workers.turn(0)
    look(expiry, now_ns=now)
    assert board.series.rows() == []


def test_when_rows_become_few_the_most_silent_go(board: Scoreboard) -> None:
    counter = Counter(board, 0)
    for number in range(LIMIT - 1):
        counter.turn_to(f"workload-{number}")
        counter.request()
    living = [form(f"workload-{number}") for number in range(LIMIT)]
    expiry, now = Expiry(board), time.monotonic_ns()
    now = look(expiry, *living, now_ns=now + int(SILENT_S * 1e9))
    counter.turn_to("workload-0")
    counter.request()
    board.workers.turn(0)
    look(expiry, *living, now_ns=now)
    rows = board.series.rows()
    assert len(rows) == LIMIT - 1 - LIMIT // 4 + 1
    assert b"workload-0\n" in rows[0].labels
