"""What Prometheus reads: families as text and as OpenMetrics, read again with prometheus_client's parsers."""

from collections.abc import Sequence

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from proxy.admin.metrics.exposition import OPENMETRICS, TEXT, written
from proxy.admin.metrics.family import COUNTER, GAUGE, HISTOGRAM, Distribution, Family, Labels, one
from proxy.admin.metrics.negotiation import form_of, takes_gzip

ODD = 'a"b\\c\nd,e=}é'
FAMILIES = [
    Family(
        "asked_total", COUNTER, "Asked.", [(Labels((("a", ODD), ("b", ""))), 3), (Labels((("a", "x"), ("b", "y"))), 0)]
    ),
    one("now", GAUGE, "Now.", 1.25),
    one("when_timestamp_seconds", GAUGE, "When.", 1_764_528_000.123),
    Family("took_seconds", HISTOGRAM, "Took.", [(Labels((("a", ODD),)), Distribution((1, 0, 2), 7.5))], (0.5, 1.0)),
    Family("alone", HISTOGRAM, "Took.", [(Labels(), Distribution((0, 0, 0), 0))], (0.5, 1.0)),
    Family("nothing", GAUGE, "No sample.", []),
]


def samples(form: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    read = read_text if form == TEXT else read_openmetrics
    text = "".join(written(FAMILIES, form))
    return {
        (sample.name, tuple(sample.labels.items())): sample.value for family in read(text) for sample in family.samples
    }


@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
def test_what_is_written_is_read_again(form: str) -> None:
    found = samples(form)
    assert found["asked_total", (("a", ODD), ("b", ""))] == 3
    assert found["asked_total", (("a", "x"), ("b", "y"))] == 0
    assert found["now", ()] == 1.25
    assert found["when_timestamp_seconds", ()] == 1_764_528_000.123
    buckets = {labels[-1][1]: value for (name, labels), value in found.items() if name == "took_seconds_bucket"}
    assert list(buckets.values()) == [1, 1, 3]
    assert [float(bound) for bound in buckets] == [0.5, 1.0, float("inf")]
    assert (found["took_seconds_sum", (("a", ODD),)], found["took_seconds_count", (("a", ODD),)]) == (7.5, 3)
    assert found["alone_count", ()] == 0
    assert not any(name == "nothing" for name, _ in found)


def test_types_are_told() -> None:
    text = "".join(written(FAMILIES, TEXT))
    assert "# TYPE asked_total counter\n" in text
    assert 'took_seconds_bucket{a="a\\"b\\\\c\\nd,e=}é",le="1"} 1\n' in text
    other = "".join(written(FAMILIES, OPENMETRICS))
    assert "# TYPE asked counter\n" in other
    assert 'le="1.0"' in other
    assert other.endswith("# EOF\n")


PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([], TEXT),
        (["*/*"], TEXT),
        (["text/plain"], TEXT),
        ([PROMETHEUS_3], OPENMETRICS),
        (["text/plain", "application/openmetrics-text"], OPENMETRICS),
        (["text/plain, application/openmetrics-text;q=0.9"], TEXT),
        (["application/openmetrics-text; q=0"], TEXT),
        (["application/openmetrics-text; q=much"], TEXT),
        (["APPLICATION/OpenMetrics-Text ; q=0.1"], OPENMETRICS),
        (["application/json"], TEXT),
        ([";;,,="], TEXT),
    ],
)
def test_who_asks_gets_the_form_it_likes_best(accept: Sequence[str], expected: str) -> None:
    assert form_of(accept) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [([], False), (["gzip"], True), (["br, gzip;q=0.5"], True), (["gzip;q=0"], False), (["*"], True), (["br"], False)],
)
def test_only_who_takes_gzip_gets_it(accept: Sequence[str], expected: bool) -> None:
    assert takes_gzip(accept) is expected
