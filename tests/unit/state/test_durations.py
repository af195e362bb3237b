"""Durations as text, both ways."""

import pytest

from state.durations import milliseconds, written


@pytest.mark.parametrize(
    ("ms", "text"), [(30_000, "30s"), (1500, "1.5s"), (500, "500ms"), (300_000, "300s"), (0, "0s"), (10**12, "forever")]
)
def test_as_people_write_them(ms: int, text: str) -> None:
    assert written(ms) == text


@pytest.mark.parametrize("ms", [0, 1, 999, 1000, 1001, 30_000, 90_500])
def test_they_read_back(ms: int) -> None:
    assert milliseconds(written(ms)) == ms


@pytest.mark.parametrize("text", ["", "s", "forever", "xms"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        milliseconds(text)
