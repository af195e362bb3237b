"""Which backend gets a request, by weights (B1, B3, B4)."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.shapes import Split
from tests.instruments.inspect_routing import backend_of
from tests.unit.policy.interpreted import interpreted

splitting = interpreted("splitting")
WEIGHTS = st.lists(st.integers(0, 1_000_000), max_size=16)


@given(WEIGHTS, st.integers(0, 2**32 - 1))
def test_compiled_and_interpreted(weights: list[int], chance: int) -> None:
    found = splitting.backend_of(Split(weights, len(weights), sum(weights)), chance)
    assert backend_of(weights, chance) == found
    assert (found < 0) == (sum(weights) == 0), "B4"
    assert found < 0 or weights[found] > 0, "B3"


def test_B1_each_has_its_share_to_a_chance() -> None:
    chances = range(0, 2**32, 2**22)
    found = [backend_of([70, 30, 0], chance) for chance in chances]
    assert [found.count(each) for each in range(3)] == [717, 307, 0]
