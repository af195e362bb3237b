"""What statsd is told of families: what was added since the last time, under plain names or with DogStatsD's tags."""

import pytest

from proxy.admin.metrics.family import COUNTER, GAUGE, HISTOGRAM, Distribution, Family, Labels, one
from proxy.admin.statsd import Lines, plain_name

IN_AMBIENT = ("cluster", "httpbin/in-ambient:8000")


def families(requests: int, slow: int, out: int) -> list[Family]:
    codes = Labels((IN_AMBIENT, ("code_class", "5xx")))
    times = Distribution((requests, slow, 0), float(requests + slow))
    return [
        Family(
            "istio_requests_total",
            COUNTER,
            "",
            [(Labels((("reporter", "waypoint"), ("source_app", "a,b|c#d"))), requests)],
        ),
        Family("waypointd_cluster_requests_total", COUNTER, "", [(codes, requests)]),
        Family(
            "waypointd_cluster_request_duration_seconds",
            HISTOGRAM,
            "",
            [(Labels((IN_AMBIENT,)), times)],
            (0.001, 0.002),
        ),
        Family("waypointd_outlier_ejected_endpoints", GAUGE, "", [(Labels((IN_AMBIENT,)), out)]),
        one("waypointd_fleet_shared_state", GAUGE, "", 1),
    ]


def test_plain_lines_have_the_names_they_always_had() -> None:
    lines = Lines(tagged=False)
    stem = "cluster.httpbin_in-ambient_8000"
    assert list(lines.of(families(3, 1, 0))) == [
        (f"{stem}.requests.5xx", "3|c"),
        (f"{stem}.request_time", "0.5|ms|@0.333333333"),
        (f"{stem}.request_time", "1.5|ms"),
        (f"{stem}.ejected", "0|g"),
        ("shared_state", "1|g"),
    ]
    assert list(lines.of(families(5, 1, 2))) == [
        (f"{stem}.requests.5xx", "2|c"),
        (f"{stem}.request_time", "0.5|ms|@0.5"),
        (f"{stem}.ejected", "2|g"),
        ("shared_state", "1|g"),
    ]


def test_what_is_smaller_than_before_is_a_new_one_of_the_same_name() -> None:
    lines = Lines(tagged=False)
    list(lines.of(families(5, 5, 0)))
    told = dict(lines.of(families(2, 0, 0)))
    assert told["cluster.httpbin_in-ambient_8000.requests.5xx"] == "2|c"
    assert told["cluster.httpbin_in-ambient_8000.request_time"] == "0.5|ms|@0.5"


def test_tagged_lines_have_prometheus_names_and_all_labels() -> None:
    told = list(Lines(tagged=True).of(families(1, 0, 0)))
    assert told == [
        ("istio_requests_total", "1|c|#reporter:waypoint,source_app:a_b_c_d"),
        ("waypointd_cluster_requests_total", "1|c|#cluster:httpbin/in-ambient:8000,code_class:5xx"),
        ("waypointd_cluster_request_duration_seconds", "0.0005|h|#cluster:httpbin/in-ambient:8000"),
        ("waypointd_outlier_ejected_endpoints", "0|g|#cluster:httpbin/in-ambient:8000"),
        ("waypointd_fleet_shared_state", "1|g"),
    ]


@pytest.mark.parametrize(
    ("family", "pairs", "expected"),
    [
        ("waypointd_workers", (("state", "ready"),), "workers.ready"),
        ("waypointd_outlier_overflows_total", (IN_AMBIENT,), "outlier_overflows.httpbin_in-ambient_8000"),
        ("waypointd_worker_requests_total", (("worker", "0"),), "worker_requests.0"),
        ("waypointd_ready", (), "ready"),
        ("waypointd_certificate_failures_total", (), "certificate.failures"),
    ],
)
def test_a_plain_name_has_everything_in_it(family: str, pairs: tuple[tuple[str, str], ...], expected: str) -> None:
    assert plain_name(family, Labels(pairs)) == expected


def test_a_certificate_is_told_by_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    name = "waypointd_certificate_expiry_timestamp_seconds"
    assert list(Lines(tagged=False).of([one(name, GAUGE, "", 87400)])) == [
        ("certificate.seconds_left", "86400|g"),
        ("certificate.days_left", "1.00|g"),
    ]
    assert dict(Lines(tagged=False).of([one(name, GAUGE, "", 7)]))["certificate.seconds_left"] == "0|g"
    assert list(Lines(tagged=True).of([one(name, GAUGE, "", 87400)])) == [(name, "87400|g")]
