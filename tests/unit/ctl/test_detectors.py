"""How waypointctl puts ejections that are not for consecutive 5xx, and rules that ask for them."""

import pytest

from proxy.ctl.history import sentence
from state.operating.history import entry
from state.operating.rule import parse, text_for
from state.outlier.rates import RateRule
from state.outlier.store import Policy
from tests.unit.ctl.test_words import FIELDS, RULE


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"why": "consecutive_gateway_failure"}, "out for 60s after 3 gateway errors in a row, by a ("),
        ({"why": "consecutive_local_origin_failure"}, "out for 60s after 3 local-origin failures in a row, by a ("),
        (
            {"why": "success_rate", "reason": "30.0 of 100 succeed"},
            "out for 60s, by its rate (success_rate), by a: 30.0",
        ),
        ({"why": "failure_percentage", "kind": "detected"}, "found, and not ejected, by its rate (failure_percentage)"),
        (
            {"why": "offered", "reason": "success_rate"},
            "out for 60s for success_rate=3 while Redis was away, by a: 503",
        ),
        ({"why": "offered"}, "out for 60s after 3 consecutive failures while Redis was away"),
        ({"why": "offered", "reason": "disk full"}, "out for 60s by a: disk full; offered"),
    ],
)
def test_why_in_words(changed: dict[str, str], said: str) -> None:
    assert sentence(entry("c", "1-0", FIELDS | changed)).startswith(said)


def test_a_rule_with_all_detectors_is_read_back() -> None:
    words = "consecutive_gateway_failure=2 split_external_local_origin_errors=true consecutive_local_origin_failure=5"
    policy = parse(f"{RULE} {words}").policy
    assert policy == Policy(
        *(3, 1500, 500, 50, 3),
        local_origin_quorum=2,
        probe=True,
        consecutive_gateway_failure=2,
        split_local_origin=True,
        consecutive_local_origin_failure=5,
    )
    rates = RateRule(1500, success_rate_minimum_hosts=5, failure_percentage_minimum_hosts=4)
    assert policy is not None
    told = parse(text_for(policy, "httpbin/rule", {}, rates))
    assert told.policy == policy
    assert "success_rate=hosts:5,volume:100,stdev_factor:1900,enforcing:100" in told.text
    assert "failure_percentage=threshold:85,hosts:4,volume:50,enforcing:100" in told.text
