"""Series on the scoreboard: counts are exact over workers and their deaths, bounded, and never mixed."""

from collections import Counter as Counts

import pytest

from proxy.observe.series_labels import REQUEST_LABELS, split
from proxy.scoreboard.buckets import BOUNDS_OF_ISTIO
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.series import KINDS, LIMIT, REQUESTS
from proxy.scoreboard.views import Series
from tests.instruments.counting import Counter


@pytest.fixture
def board() -> Scoreboard:
    """With two workers."""
    made = Scoreboard.create()
    for slot in (0, 1):
        made.workers.start(slot, 1000 + slot)
    return made


def counted(board: Scoreboard) -> dict[str, int]:
    """Requests by code and flags."""
    found: Counts[str] = Counts()
    for row in board.series.rows():
        if row.kind == REQUESTS:
            values = dict(zip(REQUEST_LABELS, split(row.labels), strict=True))
            found[f"{values['response_code']} {values['response_flags']}"] += sum(board.series.totals(row.slot)[3:23])
    return found


def expire(board: Scoreboard, row: Series) -> bool:
    """As the controller does, when all workers have had a turn."""
    touched = board.series.touched(row.slot)
    return board.series.give_up(row.slot) and board.series.free(row.slot, touched)


def test_K7_the_buckets_are_istios() -> None:
    ms = "0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1800000 3600000"
    assert list(BOUNDS_OF_ISTIO) == [float(each) for each in ms.split()]


def test_workers_count_the_same_series_together(board: Scoreboard) -> None:
    one, two = Counter(board, 0), Counter(board, 1)
    for counter in (one, two, two):
        counter.request()
    two.request(503, b"UH")
    assert counted(board) == {"200 -": 3, "503 UH": 1}
    assert len(board.series.rows()) == 2


def test_what_a_dead_worker_counted_stays_and_its_successor_goes_on(board: Scoreboard) -> None:
    Counter(board, 1).request()
    board.workers.reap(1)
    assert counted(board) == {"200 -": 1}
    board.workers.start(1, 2000)
    Counter(board, 1).request()
    assert counted(board) == {"200 -": 2}
    assert board.workers.row(1).starts == 2


def test_connections_of_a_dead_worker_are_closed(board: Scoreboard) -> None:
    one, two = Counter(board, 0), Counter(board, 1)
    for counter in (one, two, two):
        counter.open()
    two.close()
    (row,) = board.series.rows()
    assert board.series.totals(row.slot)[:2] == (3, 1)
    board.workers.reap(1)
    assert board.series.totals(row.slot)[:2] == (3, 2)
    assert board.series.is_open(row.slot)
    one.close()
    assert not board.series.is_open(row.slot)


def test_what_finds_no_room_is_counted_as_unknown_and_told_once(
    board: Scoreboard, caplog: pytest.LogCaptureFixture
) -> None:
    late = Counter(board, 0)
    for number in range(LIMIT):
        late.turn_to(f"workload-{number}")
        late.request()
    assert len(board.series.rows()) == LIMIT
    late.turn_to("late")
    for _ in range(3):
        late.request()
    Counter(board, 1, "later").request()
    assert len(board.series.rows()) == LIMIT + 1
    unknown = board.series.rows()[0]
    assert (unknown.slot, sum(board.series.totals(REQUESTS)[3:23])) == (REQUESTS, 4)
    assert set(split(unknown.labels)) == {"waypoint", "unknown", "latest"}
    assert [record.message.count("unknown") for record in caplog.records] == [1]
    # When there is room again, it is found, and nothing moves that was counted.
    assert expire(board, board.series.rows()[1])
    late.request()
    assert sum(board.series.totals(REQUESTS)[3:23]) == 4
    assert sum(board.series.totals(KINDS)[3:23]) == 1
    assert b"late" in board.series.rows()[1].labels


def test_a_row_that_is_free_is_begun_anew(board: Scoreboard) -> None:
    one, two = Counter(board, 0, "one"), Counter(board, 1, "two")
    one.request()
    (row,) = board.series.rows()
    assert expire(board, row)
    assert board.series.rows() == []
    assert board.series.expired == 1
    two.request()  # in the row that was one's
    one.request()  # which still remembers it
    assert [(b"two" in each.labels, sum(board.series.totals(each.slot)[3:23])) for each in board.series.rows()] == [
        (True, 1),
        (False, 1),
    ]


def test_whoever_counts_takes_a_row_back(board: Scoreboard) -> None:
    counter = Counter(board, 0)
    counter.request()
    (row,) = board.series.rows()
    touched = board.series.touched(row.slot)
    assert board.series.give_up(row.slot)
    counter.request()
    assert not board.series.free(row.slot, touched)
    assert counted(board) == {"200 -": 2}
    assert not board.series.rows()[0].given_up


def test_what_was_counted_under_the_old_generation_keeps_a_row(board: Scoreboard) -> None:
    """A worker looked at the generation before it moved, and counts after that."""
    counter = Counter(board, 0)
    counter.open()
    (row,) = board.series.rows()
    assert not board.series.give_up(row.slot)
    counter.close()
    assert board.series.give_up(row.slot)
    assert board.series.rows()[0].given_up
    assert not board.series.free(row.slot, board.series.touched(row.slot) - 1)
    assert not board.series.rows()[0].given_up


def test_one_identity_takes_only_so_many_rows_whatever_its_baggage_says(board: Scoreboard) -> None:
    counter = Counter(board, 0)
    for number in range(400):
        counter.come_from(b"spiffe://cluster.local/ns/shop/sa/web", b"app.name=%d" % number)
        counter.request()
    assert len(board.series.rows()) == 256 + 1
    assert counted(board) == {"200 -": 400}
    counter.come_from(b"spiffe://cluster.local/ns/shop/sa/other", b"app.name=1")
    counter.request()
    assert len(board.series.rows()) == 256 + 2
