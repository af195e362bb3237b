"""Counters of what configuration names, on the scoreboard."""

from proxy.scoreboard.counts import LIMIT, LONGEST
from proxy.scoreboard.scoreboard import Scoreboard


def board(workers: int = 2) -> Scoreboard:
    made = Scoreboard.create()
    for worker in range(workers):
        made.workers.start(worker, 1)
    return made


def test_what_all_workers_count_is_added_up() -> None:
    made = board()
    for worker, count in ((0, 1), (1, 2), (0, 3)):
        made.counts.add(worker, b"a\0b", count)
    made.counts.add(1, b"c", 5)
    assert made.counts.totals() == {b"": 0, b"a\0b": 6, b"c": 5}


def test_who_comes_after_goes_on() -> None:
    made = board()
    made.counts.add(0, b"a", 1)
    made.counts.add(0, b"b", 1)
    next_process = Scoreboard.attach(made.fd)
    next_process.counts.add(0, b"b", 1)
    next_process.counts.add(0, b"c", 1)
    assert made.counts.totals() == {b"": 0, b"a": 1, b"b": 2, b"c": 1}


def test_what_finds_no_room_is_told() -> None:
    made = board()
    for at in range(LIMIT):
        made.counts.add(0, b"%d" % at, 1)
    made.counts.add(0, b"one more", 2)
    made.counts.add(1, b"x" * (LONGEST + 1), 3)
    made.counts.add(1, b"y" * LONGEST, 1)
    totals = made.counts.totals()
    assert (totals[b""], totals[b"0"], totals[b"y" * LONGEST], len(totals)) == (5, 1, 1, LIMIT + 2)
