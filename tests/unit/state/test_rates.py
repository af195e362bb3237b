"""Success rates and failure percentages against Envoy's own examples."""

from dataclasses import replace

import pytest

from state.outlier.rates import Count, Name, RateRule, Window, judge

ENVOY = RateRule(10_000, success_rate_minimum_hosts=5)
PERCENTAGE = RateRule(10_000, failure_percentage_minimum_hosts=5)


def counts(*rates: float, requests: int = 100) -> dict[Name, Count]:
    """Endpoints a, b, c, ... of which so many percent of the requests succeed."""
    return {
        (chr(ord("a") + at), "pod"): Count(round(rate * requests / 100), round((100 - rate) * requests / 100))
        for at, rate in enumerate(rates)
    }


def found(told: dict[Name, Count], rule: RateRule) -> list[tuple[str, str, int]]:
    return [(each.name[0], each.reason, each.number) for each in judge(told, rule)[0]]


@pytest.mark.parametrize(
    ("rates", "outliers"),
    [
        pytest.param((50, 100, 100, 100, 100), ["a"], id="2.2 mean 90, stdev 20, threshold 52"),
        pytest.param((53, 100, 100, 100, 100), ["a"], id="2.2 the threshold moves with it"),
        pytest.param((100, 100, 100, 100, 100), [], id="2.2 all are well"),
        pytest.param((33, 33, 33, 33, 33), [], id="2.2 all fail alike"),
        pytest.param((30, *[100] * 9), ["a"], id="seven of ten fail at one of ten"),
        pytest.param((70, *[100] * 9), ["a"], id="three of ten fail at one of ten"),
        pytest.param((0, 0, 100, 100, 100), [], id="two of five: within 1.9 of the deviation"),
        pytest.param((50, 100, 100, 100), [], id="2.2 at least 5 hosts"),
    ],
)
def test_success_rate(rates: tuple[float, ...], outliers: list[str]) -> None:
    assert [name for name, _, _ in found(counts(*rates), ENVOY)] == outliers


def test_what_is_said_of_it() -> None:
    (finding,) = judge(counts(50, 100, 100, 100, 100), ENVOY)[0]
    assert (finding.reason, finding.number) == ("success_rate", 50)
    assert finding.detail == "50.0 of 100 succeed, mean 90.0, threshold 52.0, requests 100"


def test_the_volume_is_that_of_each_host() -> None:
    told = counts(0, 100, 100, 100, 100) | {("f", "pod"): Count(50, 49)}
    assert found(told, ENVOY) == [("a", "success_rate", 0)]
    told[("a", "pod")] = Count(0, 99)
    assert judge(told, ENVOY) == ([], False), "four have had 100 requests"


def test_stdev_factor() -> None:
    told = counts(50, 100, 100, 100, 100)
    assert found(told, replace(ENVOY, success_rate_stdev_factor=2000)) == []
    assert found(told, replace(ENVOY, success_rate_stdev_factor=1999)) == [("a", "success_rate", 50)]


@pytest.mark.parametrize(
    ("rates", "outliers"),
    [
        pytest.param((15, 100, 100, 100, 100), ["a"], id="2.2 85 percent fail"),
        pytest.param((16, 100, 100, 100, 100), [], id="2.2 84 percent fail"),
        pytest.param((0, 0, 0, 0, 0), ["a", "b", "c", "d", "e"], id="2.2 all of them"),
        pytest.param((0, 100, 100, 100), [], id="2.2 at least 5 hosts"),
    ],
)
def test_failure_percentage(rates: tuple[float, ...], outliers: list[str]) -> None:
    assert [name for name, _, _ in found(counts(*rates, requests=100), PERCENTAGE)] == outliers


def test_fifty_requests_are_enough_for_it() -> None:
    assert found(counts(0, 100, 100, 100, 100, requests=50), PERCENTAGE) == [("a", "failure_percentage", 100)]
    assert judge(counts(0, 100, 100, 100, 100, requests=49), PERCENTAGE) == ([], False)


def test_each_is_found_once_and_the_worst_comes_first() -> None:
    both = replace(ENVOY, failure_percentage_minimum_hosts=5, failure_percentage_threshold=50)
    told = counts(45, *[100] * 9, 40)
    assert found(told, both) == [("k", "success_rate", 40), ("a", "success_rate", 45)]
    assert found(counts(45, *[100] * 2, 40, 44), both) == [
        ("d", "failure_percentage", 60),
        ("e", "failure_percentage", 56),
        ("a", "failure_percentage", 55),
    ]


def test_an_interval_with_too_few_requests_is_judged_with_the_next_and_not_with_a_third() -> None:
    window = Window(0, 0).told(counts(30, requests=10), 5)
    second = window.next(10, enough=False)
    assert (second.counts, second.carried, second.since_ms) == (window.counts, True, 10)
    third = second.told(counts(30, requests=10), 15).next(20, enough=False)
    assert (third.counts, third.carried) == ({}, False)
    assert Window(0, 0).told(counts(30), 5).next(10, enough=True).counts == {}
