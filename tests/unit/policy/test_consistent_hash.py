"""Which endpoint has a key: evenly, and no key moves but those of an endpoint that goes or comes."""

import math
from collections import Counter
from typing import Protocol

import pytest

from proxy.policy.shapes import View
from tests.unit.policy.interpreted import interpreted
from tests.unit.policy.views import view

policy = interpreted("balance.consistent_hash")
ALL = 10
KEYS = [policy.hash_of(text, len(text)) for text in (b"user-%d" % number for number in range(2000))]
SEEDS = [policy.hash_of(text, len(text)) for text in (b"10.0.0.%d:80" % number for number in range(ALL + 1))]
SIZE = 251


def table(view: View) -> list[int]:
    made = [0] * SIZE
    assert policy.fill(made, SIZE, SEEDS, [0] * view.count, [0] * view.count, view) == SIZE
    return made


def lined(view: View) -> list[int]:
    """Seeds in the order of those that are in."""
    return [SEEDS[position] for position in view.members]


def ring(here: list[bool], **options: tuple[int, ...]) -> list[int]:
    seen = view(here, **options)
    return [policy.rendezvous(key, lined(seen), seen) for key in KEYS]


def weighted_ring(here: list[bool], **options: tuple[int, ...]) -> list[int]:
    seen = view(here, **options)
    order = sorted(seen.members, key=lambda position: -seen.weights[position])
    seeds = [SEEDS[position] for position in order]
    return [policy.weighted_rendezvous(key, seeds, order, seen) for key in KEYS]


def maglev(here: list[bool], **options: tuple[int, ...]) -> list[int]:
    seen = view(here, **options)
    made = table(seen)
    return [policy.in_table(key, made, SIZE, bytes(here), seen) for key in KEYS]


class Algorithm(Protocol):
    """The positions that have KEYS."""

    def __call__(self, here: list[bool], /, **options: tuple[int, ...]) -> list[int]: ...


every = pytest.mark.parametrize("algorithm", [ring, weighted_ring, maglev])


@every
def test_ten_endpoints_have_equal_shares(algorithm: Algorithm) -> None:
    counts = Counter(algorithm([True] * ALL))
    assert set(counts) == set(range(ALL))
    drawn = 3 * math.sqrt(len(KEYS) / ALL) / (len(KEYS) / ALL)  # what chance makes of so few keys
    assert all(abs(count * ALL / len(KEYS) - 1) < drawn for count in counts.values())


@every
@pytest.mark.parametrize("out", [(3,), (0, 9), (1, 2, 4, 5, 6, 7, 8, 9)])
def test_who_goes_out_moves_its_own_keys_only_and_spreads_them(algorithm: Algorithm, out: tuple[int, ...]) -> None:
    before = algorithm([True] * ALL)
    after = algorithm([position not in out for position in range(ALL)])
    assert all(new == old for old, new in zip(before, after, strict=True) if old not in out)
    moved = Counter(new for old, new in zip(before, after, strict=True) if old in out)
    assert set(moved) == set(range(ALL)) - set(out)


@pytest.mark.parametrize("algorithm", [ring, weighted_ring])
def test_who_comes_takes_its_share_and_nothing_else_moves(algorithm: Algorithm) -> None:
    before, after = algorithm([True] * ALL), algorithm([True] * (ALL + 1))
    moved = [new for old, new in zip(before, after, strict=True) if new != old]
    assert set(moved) == {ALL}
    assert 0.8 < len(moved) * (ALL + 1) / len(KEYS) < 1.2


@pytest.mark.parametrize("algorithm", [weighted_ring, maglev])
def test_shares_are_as_weights(algorithm: Algorithm) -> None:
    weights = (1, 2, 3, 4)
    counts = Counter(algorithm([True] * 4, weights=weights))
    for position, weight in enumerate(weights):
        assert abs(counts[position] / len(KEYS) - weight / sum(weights)) < 0.04


@every
def test_who_was_tried_is_passed_over(algorithm: Algorithm) -> None:
    first = algorithm([True] * ALL)
    assert all(new != 3 for new in algorithm([True] * ALL, tried=(3,)))
    again = algorithm([True] * ALL, tried=(3,))
    assert all(new == old for old, new in zip(first, again, strict=True) if old != 3)
    assert set(algorithm([True, True], tried=(0, 1))) == {-1}
    assert set(algorithm([False, False])) == {-1}


def test_the_logarithm() -> None:
    one = 1 << 24
    for draw in (1, 2, 3, 12345, 2**32, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2**40, 2**64 - 1):
        assert policy.bits_below(draw) / one == pytest.approx(64 - math.log2(draw), abs=3e-7)
    assert policy.bits_below(0) == 64 * one
    for bits in (1, 2, 3, 4, 5, 8, 12, 16):  # as many below the highest as its cost, where that is small
        draw = 2**64 - 2 ** (64 - bits)
        assert policy.minus_log(draw) / 2**32 == pytest.approx(-math.log1p(-(2.0**-bits)), rel=1e-4)


def test_nobody_to_fill_a_table_with() -> None:
    made = [7] * SIZE
    assert policy.fill(made, SIZE, [], [], [], view([])) == 0
    assert policy.in_table(1, made, SIZE, b"", view([])) == -1
