"""Durations as Kubernetes and Istio write them, and what is said of the others."""

import pytest

from proxy.mesh.reading.duration import milliseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10s", 10_000),
        ("1.5s", 1500),
        ("1m30s", 90_000),
        ("500ms", 500),
        ("1h", 3_600_000),
        ("1ms", 1),
        (".5s", 500),
        ("1000us", 1),
        ("1h1m1s1ms", 3_661_001),
        ("1.s", 1000),
        ("2000000ns", 2),
        ("0.001s", 1),
    ],
)
def test_durations(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (10, 'such as "10s" or "1m30s"; write "10s"'),
        ("10", "must be a duration such as"),
        ("", "must be a duration"),
        ("0", "at least 1ms"),
        ("0s", "at least 1ms"),
        ("999us", "at least 1ms"),
        ("1.0005s", "whole milliseconds"),
        ("-1s", "must be a duration"),
        ("1 s", "must be a duration"),
        ("1d", "must be a duration"),
        ("s", "must be a dur"),
        ("1s ", "must be a duration"),
        ("9" * 30 + "h", "too long"),
        ("9" * 5000 + "h", "must be a duration"),
        (True, "must be a duration in text"),
        ([], "must be a duration in text"),
        (1.5, "must be a duration in text"),
    ],
)
def test_bad_durations(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        milliseconds(value)
