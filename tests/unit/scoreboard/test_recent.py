"""How many requests a cluster had within the time of its retryBudget."""

import random

from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.limits import note, recent

INTERVAL = 1_000_000_000
TENTH = INTERVAL // 10


def test_a_request_counts_for_that_time_and_a_tenth_more_at_most(board: Scoreboard) -> None:
    cluster = board.clusters.add("shop/cart:80")
    at = 7_654_321_987_654
    note(board, cluster, INTERVAL, at)
    assert [recent(board, cluster, INTERVAL, at + later) for later in (0, TENTH, INTERVAL)] == [1, 1, 1]
    assert recent(board, cluster, INTERVAL, at + INTERVAL + TENTH) == 0


def test_all_of_the_time_and_nothing_older_is_counted(board: Scoreboard) -> None:
    cluster = board.clusters.add("shop/cart:80")
    dice, now, sent = random.Random(5), 10**15, list[int]()
    for _ in range(5000):
        now += dice.choice((0, 1000, TENTH // 7, TENTH // 3 if dice.random() < 0.9 else 3 * INTERVAL))
        note(board, cluster, INTERVAL, now)
        sent.append(now)
        counted = recent(board, cluster, INTERVAL, now)
        assert sum(each > now - INTERVAL for each in sent) <= counted
        assert counted <= sum(each > now - INTERVAL - TENTH for each in sent)


def test_a_slot_that_is_given_out_again_has_had_none(board: Scoreboard) -> None:
    cluster = board.clusters.add("shop/cart:80")
    note(board, cluster, INTERVAL, INTERVAL)
    board.clusters.remove(cluster)
    assert recent(board, board.clusters.add("shop/till:80"), INTERVAL, INTERVAL) == 0
