"""Names of keys, words inside values, and messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.keys import Keys, text_of, word
from state.outlier.events import parse


def test_keys_are_those_of_the_design() -> None:
    keys = Keys("waypoint", "httpbin/in-ambient:8000")
    assert keys.eject("10.10.0.16:8080") == "waypoint:{httpbin/in-ambient:8000}:eject:10.10.0.16:8080"
    assert keys.endpoint("[fd00::1]:80") == "waypoint:{httpbin/in-ambient:8000}:endpoint:[fd00::1]:80"
    rest = [keys.ejected, keys.log, keys.version, keys.epoch, keys.events]
    assert [key.removeprefix("waypoint:{httpbin/in-ambient:8000}:") for key in rest] == [
        "ejected",
        "log",
        "version",
        "epoch",
        "events",
    ]


@given(st.text())
def test_words_hold_no_space_and_read_back(text: str) -> None:
    assert not any(letter.isspace() for letter in word(text))
    assert text_of(word(text)) == text


def test_usual_names_are_written_as_they_are() -> None:
    for name in ("in-ambient-7d8f9b6c54-abc12", "waypoint-7d9f/w2", "10.10.0.16:8080", "[::1]:80"):
        assert word(name) == name


LINE = (
    "eject endpoint=10.10.0.16:8080 workload=pod%20a version=18 generation=2 failures=3 left_ms=29999 "
    "ejection_ms=30000 ejections=2 backoff=1 probe_in_ms=-1 by=waypoint-1 reason=consecutive_5xx"
)


def test_a_message_reads_back() -> None:
    event = parse("c", LINE)
    assert event is not None
    assert (event.cluster, event.kind, event.endpoint, event.workload) == ("c", "eject", "10.10.0.16:8080", "pod a")
    assert (event.version, event.generation, event.failures, event.left_ms) == (18, 2, 3, 29_999)


@pytest.mark.parametrize("line", ["", "hello", "eject", LINE.replace("eject ", "boom "), LINE.replace("=18", "=x")])
def test_what_is_no_message_is_no_event(line: str) -> None:
    assert parse("c", line) is None
