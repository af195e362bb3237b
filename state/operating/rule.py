"""The rule in force for a cluster, as replicas tell it to people: one text of words, read back.

Pure. The text is written by proxy/fleet/members.py and kept in Redis by lua/sync.lua.
"""

from dataclasses import dataclass, field

from state.keys import text_of
from state.outlier.store import Policy


@dataclass(frozen=True, slots=True)
class Rule:
    """`policy` None: nobody has told of any rule lately. `addresses`: endpoint -> workload, as the replica that told it
    sees the cluster."""

    text: str = ""  # without the addresses
    policy: Policy | None = None
    destination_rule: str = ""
    addresses: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> Rule:
    """The rule in a text; words that are missing or unreadable leave no policy."""
    words = dict(word.partition("=")[::2] for word in text.split())
    addresses = [each.partition("/") for each in words.pop("addresses", "").split(",") if each]
    try:
        policy = Policy(
            consecutive_5xx=int(words["consecutive_5xx"]),
            interval_ms=_milliseconds(words["interval"]),
            base_ejection_ms=_milliseconds(words["base_ejection_time"]),
            max_ejection_percent=int(words["max_ejection_percent"]),
            endpoints=int(words["endpoints"]),
            local_origin_quorum=int(words["local_origin_quorum"]),
            probe=words["recovery"] == "probe",
        )
    except (KeyError, ValueError):
        policy = None
    return Rule(
        text=" ".join(f"{name}={value}" for name, value in words.items() if name != "destination_rule"),
        policy=policy,
        destination_rule=text_of(words.get("destination_rule", "")),
        addresses={text_of(address): text_of(workload) for address, _, workload in addresses},
    )


def _milliseconds(text: str) -> int:
    """As proxy.observe.outlier_log.duration writes it: 30s, 1.5s, 500ms."""
    return int(text[:-2]) if text.endswith("ms") else round(1000 * float(text.removesuffix("s")))
