"""What is done to some requests only."""

import pytest

from tests.unit.policy.interpreted import interpreted

falls_on = interpreted("chance").falls_on
MOST = 2**32 - 1


@pytest.mark.parametrize(
    ("numerator", "denominator", "part"),
    [
        pytest.param(0, 100, 0, id="V15-V17-none"),
        pytest.param(100, 100, 1, id="V17-all"),
        pytest.param(35, 100, 0.35, id="F14-percent"),
        pytest.param(1, 3, 1 / 3, id="F14-fraction"),
        pytest.param(1, 1_000_000, 1e-6, id="V15-the-least"),
        pytest.param(5, 3, 1, id="F14-more-than-all"),
    ],
)
def test_the_part_that_is_asked_for(numerator: int, denominator: int, part: float) -> None:
    """Chance below a bound and no other: the bound is that part of all there are."""
    low, high = 0, MOST + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if falls_on(numerator, denominator, middle) else (low, middle)
    assert low / (MOST + 1) == pytest.approx(part, abs=1e-9)
