"""How many of the requests each group of endpoints gets."""

import pytest

from proxy.policy.shapes import Groups
from tests.unit.policy.interpreted import interpreted

policy = interpreted("balance.groups")
warmth = interpreted("balance.warmup").warmth


def groups(*present: int, sizes: tuple[int, ...] = (), weights: tuple[int, ...] = ()) -> Groups:
    count = len(present)
    return Groups(count, sizes or (100,) * count, present, weights or (1,) * count, [0] * count, [0] * count)


@pytest.mark.parametrize(
    ("present", "loads"),
    [
        pytest.param((72, 100), [100, 0], id="3.3 priority load: 72 % healthy"),
        pytest.param((71, 100), [99, 1], id="3.3 priority load: 71 %"),
        pytest.param((50, 100), [70, 30], id="3.3 priority load: 50 %"),
        pytest.param((25, 100), [35, 65], id="3.3 priority load: 25 %"),
        pytest.param((0, 100), [0, 100], id="3.3 priority load: 0 %"),
        pytest.param((25, 25, 20), [37, 35, 28], id="3.3 priority load: 25/25/20 over three levels"),
        pytest.param((0, 0), [0, 0], id="3.3 priority load: nobody is in"),
        pytest.param((100,), [100], id="3.3 priority load: one level"),
        pytest.param((10, 20, 10), [25, 50, 25], id="3.3 priority load: 10/20/10"),
    ],
)
def test_priority_load(present: tuple[int, ...], loads: list[int]) -> None:
    found = groups(*present)
    assert policy.fail_over(found, 0) == sum(loads)
    assert found.loads == loads
    assert not any(found.panicking), "at 0 there is no panic"


def test_panic_is_each_levels_own_and_only_while_not_everything_can_be_taken() -> None:
    found = groups(10, 100)
    policy.fail_over(found, 50)
    assert (found.loads, found.panicking) == ([14, 86], [0, 0]), "together they can take everything"
    found = groups(10, 55)
    policy.fail_over(found, 50)
    assert (found.loads, found.panicking) == ([16, 84], [1, 0])


def test_where_all_levels_panic_requests_go_by_size() -> None:
    found = groups(1, 0, sizes=(30, 10))
    assert policy.fail_over(found, 50) == 40
    assert (found.loads, found.panicking) == ([30, 10], [1, 1])


def test_distribution_gives_less_to_who_has_too_few_in() -> None:
    found = groups(100, 100, weights=(80, 20))
    assert policy.distribute(found, 0) == 10_000
    assert found.loads == [8000, 2000]
    found = groups(50, 100, 100, weights=(80, 20, 0))
    policy.distribute(found, 0)
    assert found.loads == [5600, 2000, 0], "70 % of its weight; and who has no weight gets nothing"
    found = groups(20, 20, 100, weights=(80, 20, 0))
    policy.distribute(found, 50)
    assert (found.loads, found.panicking) == ([100, 100, 0], [1, 1, 0]), "panic is that of all that have a weight"


def test_a_draw_falls_into_each_group_by_its_load() -> None:
    found = groups(50, 100)
    total = policy.fail_over(found, 0)
    draws = [policy.group_of(at << 32, total, found) for at in range(0, 2**32, 2**32 // 1000)]
    assert abs(draws.count(0) - 700) <= 1
    assert set(draws) == {0, 1}
    nobody = groups(0, 0)
    assert policy.group_of(5 << 32, policy.fail_over(nobody, 0), nobody) == -1


@pytest.mark.parametrize(
    ("seconds", "percent"),
    [(0, 10), (1, 10), (6, 10), (12, 20), (30, 50), (59, 98.3), (60, 100), (1000, 100), (-5, 10)],
    ids=lambda number: f"3.4 {number}",
)
def test_slow_start_of_60_s(seconds: float, percent: float) -> None:
    assert 100 * warmth(seconds * 1000, 60_000, 0.1, 1.0) == pytest.approx(percent, abs=0.1)


def test_slow_start_with_aggression() -> None:
    assert warmth(15_000, 60_000, 0.0, 2.0) == pytest.approx(0.5), "fast at first"
    assert warmth(30_000, 60_000, 0.0, 0.5) == pytest.approx(0.25), "slow at first"
