"""Why an attempt failed, in one word, and whether that shows that the other side was reached."""

import re
from pathlib import Path

import pytest

from proxy.policy import causes, shapes
from proxy.policy.causes import WORDS, word_of, words_of
from proxy.policy.shapes import (
    ABANDONED,
    ANSWERED,
    BAD_ANSWER,
    CLIENT_FAILED,
    CLOSED,
    CONNECTED,
    CONNECTION_REFUSED,
    CONNECTION_RESET,
    CUT,
    EXPIRED,
    GRPC_STATUS,
    LEFT_WAITING,
    MALFORMED,
    NO_PROTOCOL,
    NOT_CONNECTED,
    NOT_HTTP,
    REFUSED,
    RESET,
    SHORT_OF,
    SHORTAGE,
    SILENT,
    STREAM_ENDED,
    TUNNEL_RESET,
    TUNNEL_STATUS,
    UNANSWERED,
    UNKNOWN,
    Ending,
)
from tests.unit.policy.interpreted import interpreted

cause = interpreted("cause")
PAGE = Path(__file__).resolve().parents[3] / "docs" / "fleet-state.md"


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (Ending(ANSWERED, 503), 503),
        (Ending(ANSWERED, 200, 14), GRPC_STATUS + 14),
        (Ending(ANSWERED, 200, 1 << 30), GRPC_STATUS + 999),
        (Ending(CONNECTED), UNKNOWN),
        (Ending(NOT_CONNECTED, trouble=CONNECTION_REFUSED), CONNECTION_REFUSED),
        (Ending(NOT_CONNECTED, trouble=TUNNEL_STATUS + 401), TUNNEL_STATUS + 401),
        (Ending(CLOSED, trouble=CONNECTION_RESET), CONNECTION_RESET),
        (Ending(CLOSED, trouble=TUNNEL_RESET), TUNNEL_RESET),
        (Ending(CUT, 200, trouble=STREAM_ENDED), STREAM_ENDED),
        (Ending(RESET), STREAM_ENDED),
        (Ending(REFUSED), STREAM_ENDED),
        (Ending(NOT_HTTP), NO_PROTOCOL),
        (Ending(MALFORMED), BAD_ANSWER),
        (Ending(SILENT), UNANSWERED),
        (Ending(EXPIRED), UNANSWERED),
        (Ending(ABANDONED), LEFT_WAITING),
        (Ending(SHORT_OF), SHORTAGE),
        (Ending(CLIENT_FAILED), UNKNOWN),
    ],
)
def test_Z5_why(ending: Ending, why: int) -> None:
    assert cause.cause_of(ending) == why


def test_Z5_every_number_has_a_word_of_its_own() -> None:
    numbered = {value for value in vars(shapes).values() if isinstance(value, int) and 3000 <= value < 4000}
    assert {*WORDS} == {UNKNOWN, *numbered}
    assert len(set(WORDS.values())) == len(WORDS)
    written = [word_of(each) for each in (503, 600, TUNNEL_STATUS + 503, TUNNEL_STATUS + 401, GRPC_STATUS + 14)]
    assert written == ["503", "600", "tunnel_503", "tunnel_401", "grpc_14"]
    assert all(re.fullmatch(r"\w+", word) for word in [*WORDS.values(), *written]), "one word, also in Lua's eyes"
    assert max(numbered) < 1 << 16, "it fits the scoreboard's rows"


def test_Z5_the_words_of_a_run_each_once() -> None:
    assert words_of([503, CONNECTION_REFUSED, 503, UNKNOWN, TUNNEL_STATUS + 503]) == "503,refused,tunnel_503"
    assert words_of([]) == words_of([UNKNOWN]) == ""


def rows() -> dict[str, str]:
    """Of the table in docs/fleet-state.md: word -> whether it may be our own network's fault."""
    section = PAGE.read_text().partition("### Whose failures count")[2].partition("\n### ")[0]
    found = re.findall(r"^\| (`[^|]*`) \|[^|]*\| (yes|no)\b[^|]*\|$", section, re.MULTILINE)
    return {word: ours for words, ours in found for word in re.findall(r"`(\w+)`", words)}


def test_Z4_the_page_says_what_is_done() -> None:
    examples = {"503": 503, "tunnel_503": TUNNEL_STATUS + 503, "tunnel_401": TUNNEL_STATUS + 401, "grpc_14": 2014}
    numbers = {word: number for number, word in causes.WORDS.items()} | examples
    told = rows()
    assert {*told} == {*numbers} - {"0"}
    assert {word: ours for word, ours in told.items() if (ours == "no") != cause.spoke(numbers[word])} == {}
