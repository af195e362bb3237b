"""A family of metrics as all who tell of it have it: a name, a type, and samples with labels. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Labels:
    """Names and values of one sample; `text` is how Prometheus writes them, made once."""

    __slots__ = ("_text", "pairs")

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._text: str | None = None

    @property
    def text(self) -> str:
        """`a="1",b="2"`; "" without labels."""
        if self._text is None:
            self._text = ",".join(f'{name}="{escaped(value)}"' for name, value in self.pairs)
        return self._text


NONE = Labels()


class Distribution(NamedTuple):
    """Of a histogram: how many there were in each bucket (not cumulated; the last one is open), and the sum of all."""

    counts: Sequence[int]
    total: float


class Family(NamedTuple):
    """`name` as in a sample: a counter's ends in `_total`. `bounds` are the upper ones of a histogram's buckets."""

    name: str
    type: str
    help: str
    samples: Iterable[tuple[Labels, float | Distribution]]
    bounds: Sequence[float] = ()


def one(name: str, type: str, help: str, value: float) -> Family:
    """A family of a single sample without labels."""
    return Family(name, type, help, [(NONE, value)])


def escaped(value: str) -> str:
    """A label's value between quotes (Prometheus' exposition formats)."""
    if value.isalnum():
        return value
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
