"""Buckets that the workers of a replica share: found by whoever looks, made once, given away when they say nothing."""

import random
import threading

import pytest

from proxy.ipc.snapshot import RateLimitForm
from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.rate_limits import Taker, arrival, put_arrival

NOW = 1_000_000_000_000
SECOND = 1_000_000_000
WAYS, RULES, KEYS = 8, 8192, 65536
EITHER = pytest.mark.parametrize(("keyed", "count"), [(False, RULES), (True, KEYS)], ids=["limits", "keys"])


def limit(number: int = 7, interval_ns: int = SECOND, burst: int = 3, fleet: bool = False) -> RateLimitForm:
    return RateLimitForm(id=number, text="", interval_ns=interval_ns, burst=burst, key="none", header="", fleet=fleet)


@EITHER
def test_what_one_has_written_another_finds(keyed: bool, count: int, board: Scoreboard) -> None:
    other = Scoreboard.attach(board.fd)
    for number in (1, count - 1, 2**64 - 1):
        put_arrival(board, keyed, number, NOW, NOW + number % 1000 + 1)
    assert [arrival(other, keyed, number, NOW) - NOW for number in (1, count - 1, 2**64 - 1)] == [
        2,
        count % 1000,
        (2**64 - 1) % 1000 + 1,
    ]


@EITHER
def test_a_bucket_whose_time_is_over_is_whoevers_wants_it(keyed: bool, count: int, board: Scoreboard) -> None:
    rivals = [3 + count * turn for turn in range(WAYS)]
    for turn, number in enumerate(rivals):
        put_arrival(board, keyed, number, NOW, NOW + turn + 1)
    later = NOW + 2
    assert arrival(board, keyed, 3 + count * WAYS, later) <= later, "as if it had never been anybody's"
    assert [arrival(board, keyed, number, later) for number in rivals[2:]] == [NOW + turn for turn in range(3, 9)]


@EITHER
def test_where_all_are_in_use_the_one_that_would_be_over_first_begins_anew(
    keyed: bool, count: int, board: Scoreboard
) -> None:
    rivals = [5 + count * turn for turn in range(WAYS)]
    for turn, number in enumerate(rivals):
        put_arrival(board, keyed, number, NOW, NOW + 1000 - turn)
    put_arrival(board, keyed, 5 + count * WAYS, NOW, NOW + 5000)
    assert [arrival(board, keyed, number, NOW) for number in rivals[:-1]] == [NOW + 1000 - turn for turn in range(7)]
    assert arrival(board, keyed, 5 + count * WAYS, NOW) == NOW + 5000
    assert arrival(board, keyed, rivals[-1], NOW) == 0, "it was given away"


def test_keys_take_no_place_from_limits(board: Scoreboard) -> None:
    put_arrival(board, False, 9, NOW, NOW + 1)
    dice = random.Random(1)
    for _ in range(KEYS):
        put_arrival(board, True, dice.randrange(1, 2**64), NOW, NOW + SECOND)
    assert arrival(board, False, 9, NOW) == NOW + 1


def test_workers_let_in_together_what_one_limit_lets_in(board: Scoreboard) -> None:
    workers = [Taker(Scoreboard.attach(board.fd), limit(burst=10)) for _ in range(4)]
    assert [workers[turn % 4].take(NOW) for turn in range(10)] == [0] * 10
    assert [worker.take(NOW) for worker in workers] == [SECOND] * 4
    workers[0].take(NOW + SECOND)
    workers[0].give_back()
    assert [workers[turn].take(NOW + SECOND) for turn in range(2)] == [0, SECOND], "what is given back is there again"


def test_threads_that_begin_at_once_make_one_bucket(board: Scoreboard) -> None:
    for number in range(1, 200):
        let_in: list[int] = []
        gate = threading.Barrier(4)

        def take(number: int = number, let_in: list[int] = let_in, gate: threading.Barrier = gate) -> None:
            taker = Taker(board, limit(number, burst=5))
            gate.wait()
            let_in.extend(taker.take(NOW) == 0 for _ in range(5))

        threads = [threading.Thread(target=take) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sum(let_in) == 5


# -- leased by the fleet ----------------------------------------------------------------------------------------------


def test_a_lease_is_taken_by_all_workers_until_it_is_used_or_lapses(board: Scoreboard) -> None:
    board.tell_time(NOW)
    workers = [Taker(board, limit(fleet=True)) for _ in range(2)]
    board.rate_limits.lend(7, 3, NOW + SECOND, NOW + 5 * SECOND, 4)
    assert [workers[turn % 2].take(NOW) for turn in range(4)] == [0, 0, 0, 5 * SECOND]
    assert board.rate_limits.lent(7) == (0, 4, 0)
    board.rate_limits.lend(7, 3, NOW + SECOND, 0, 4)
    workers[0].take(NOW)
    workers[0].give_back()
    assert board.rate_limits.lent(7).left == 3
    board.tell_time(NOW + SECOND)
    assert board.rate_limits.lent(7).left == 0
    assert board.rate_limits.settle(7) == -3, "what has lapsed is given back"
    assert board.rate_limits.settle(7) == 0


def test_without_a_lease_the_replica_lets_in_its_share_and_owes_it(board: Scoreboard) -> None:
    board.tell_time(NOW)
    taker = Taker(board, limit(burst=8, fleet=True))
    board.rate_limits.lend(7, 0, NOW, 0, 4)
    assert [taker.take(NOW) for _ in range(3)] == [0, 0, 4 * SECOND], "a quarter of the burst, at a quarter of the rate"
    assert board.rate_limits.lent(7).owed == 2
    assert board.rate_limits.settle(7) == 2
    board.rate_limits.lend(7, 0, NOW, NOW + 9 * SECOND, 4)
    board.rate_limits.disown(7)
    assert taker.take(NOW + 4 * SECOND) == 0
    board.rate_limits.disown(7)
    assert board.rate_limits.settle(7) == 0, "what was let in while Redis was away is nobody's business"


def test_where_nobody_has_said_how_many_replicas_there_are_the_limit_is_the_replicas(board: Scoreboard) -> None:
    taker = Taker(board, limit(burst=2, fleet=True))
    assert [taker.take(NOW) for _ in range(3)] == [0, 0, SECOND]
