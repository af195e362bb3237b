"""The rule in force for a cluster, as replicas tell it to people: one text of words, read back.

Pure. A replica writes it, lua/sync.lua keeps it in Redis, operators read it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from state.durations import milliseconds, written
from state.keys import text_of, word
from state.outlier.rates import RateRule
from state.outlier.rates import words as words_of_rates
from state.outlier.store import Policy


@dataclass(frozen=True, slots=True)
class Rule:
    """`policy` None: nobody has told of any rule lately. `addresses`: endpoint -> workload, as the replica that told it
    sees the cluster."""

    text: str = ""  # without the addresses
    policy: Policy | None = None
    destination_rule: str = ""
    mesh: str = ""  # of the replica that told it, "" if it did not say
    addresses: dict[str, str] = field(default_factory=dict)


def text_for(policy: Policy, destination_rule: str, addresses: Mapping[str, str], rates: RateRule | None = None) -> str:
    """Words of the form `name=value`, as in all the fleet's texts; `addresses`: endpoint -> workload."""
    pairs = (f"{address}/{word(workload)}".replace(",", "%2C") for address, workload in addresses.items())
    words = {
        "consecutive_5xx": policy.consecutive_5xx,
        "interval": written(policy.interval_ms),
        "base_ejection_time": written(policy.base_ejection_ms),
        "max_ejection_percent": policy.max_ejection_percent,
        "endpoints": policy.endpoints,
        "local_origin_quorum": policy.local_origin_quorum,
        "recovery": "probe" if policy.probe else "full",
        **dict(_counted(policy)),
        **(dict(words_of_rates(rates)) if rates else {}),
        "destination_rule": destination_rule,
        "addresses": ",".join(pairs),
    }
    return " ".join(f"{name}={value}" for name, value in words.items())


def _counted(policy: Policy) -> Iterator[tuple[str, object]]:
    """What is counted besides 5xx, where anything is."""
    if policy.consecutive_gateway_failure:
        yield "consecutive_gateway_failure", policy.consecutive_gateway_failure
    if policy.split_local_origin:
        yield "split_external_local_origin_errors", "true"
        yield "consecutive_local_origin_failure", policy.consecutive_local_origin_failure


def parse(text: str) -> Rule:
    """The rule in a text; words that are missing or unreadable leave no policy."""
    words = dict(word.partition("=")[::2] for word in text.split())
    addresses = [each.partition("/") for each in words.pop("addresses", "").split(",") if each]
    try:
        policy = Policy(
            consecutive_5xx=int(words["consecutive_5xx"]),
            interval_ms=milliseconds(words["interval"]),
            base_ejection_ms=milliseconds(words["base_ejection_time"]),
            max_ejection_percent=int(words["max_ejection_percent"]),
            endpoints=int(words["endpoints"]),
            local_origin_quorum=int(words["local_origin_quorum"]),
            probe=words["recovery"] == "probe",
            consecutive_gateway_failure=int(words.get("consecutive_gateway_failure", 0)),
            split_local_origin=words.get("split_external_local_origin_errors") == "true",
            consecutive_local_origin_failure=int(words.get("consecutive_local_origin_failure", 0)),
        )
    except (KeyError, ValueError):
        policy = None
    return Rule(
        text=" ".join(f"{name}={value}" for name, value in words.items() if name != "destination_rule"),
        policy=policy,
        destination_rule=text_of(words.get("destination_rule", "")),
        mesh=text_of(words.get("mesh", "")),
        addresses={text_of(address): text_of(workload) for address, _, workload in addresses},
    )
