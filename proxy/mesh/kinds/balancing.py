"""The fields of `trafficPolicy.loadBalancer`; rules of Istio's `validateLoadBalancer`."""

from __future__ import annotations

from functools import partial
from math import isqrt

from proxy.mesh.kinds.locality import locality_setting, zone_aware_setting
from proxy.mesh.reading.records import built
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import (
    At,
    Given,
    at_most_one,
    boolean,
    choice,
    duration,
    duration_or_none,
    filled,
    integer,
    items,
    number,
    text,
    unsigned,
)
from proxy.mesh.traffic.balancing import (
    MAGLEV_LARGEST,
    BackendUtilization,
    ConsistentHash,
    CookieAttribute,
    HttpCookie,
    LoadBalancer,
    Maglev,
    RingHash,
    Simple,
    Warmup,
)

_uint64 = integer(0, 2**63 - 1)  # as far as JSON's numbers go in an API server


def _prime(at: At, found: Maglev) -> None:
    size = found.table_size
    if any(size % divisor == 0 for divisor in range(2, isqrt(size) + 1)):
        at.down("tableSize").fault(f"must be a prime number, not {size}")


def _names_unique(at: At, found: HttpCookie) -> None:
    names = [each.name for each in found.attributes]
    for index, name in enumerate(names):
        if name in names[:index]:
            at.down("attributes", index, "name").fault(f"{shown(name)} is given twice")


_LONGEST_COOKIE = 2048


def _writable(at: At, found: HttpCookie) -> None:
    """What goes into a Set-Cookie field as it stands (RFC 6265 4.1.1)."""
    texts = {"name": found.name, "path": found.path}
    for where, value in texts.items():
        if wrong := [each for each in value if not " " < each < "\x7f" or each in ";,"]:
            at.down(where).fault(f"{shown(wrong[0])} cannot stand in a Set-Cookie field")
    for index, each in enumerate(found.attributes):
        if wrong := [one for one in each.name + each.value if not " " <= one < "\x7f" or one in ";,"]:
            at.down("attributes", index).fault(f"{shown(wrong[0])} cannot stand in a Set-Cookie field")
    if sum(map(len, (*texts.values(), *(each.name + each.value for each in found.attributes)))) > _LONGEST_COOKIE:
        at.fault(f"would make a Set-Cookie field of more than {_LONGEST_COOKIE} characters")


def _old_ring_size(at: At, given: Given) -> None:
    if given.get("minimumRingSize"):
        for name in ("ringHash", "maglev"):
            at_most_one("minimumRingSize", name)(at, given)
        at.down("minimumRingSize").warn("is the old form, as Istio warns too; write ringHash.minimumRingSize")


_cookie = built(
    HttpCookie,
    {
        "name": filled,
        "path": text,
        # 0s makes a session cookie, so the rule of at least 1 ms does not hold here.
        "ttl": duration_or_none,
        "attributes": items(built(CookieAttribute, {"name": filled, "value": text})),
    },
    rules=(_names_unique, _writable),
)

_maglev = built(Maglev, {"tableSize": integer(1, MAGLEV_LARGEST - 1)}, rules=(_prime,))

_KEYS = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")


def _keyless(at: At, given: Given) -> None:
    if not any(given.get(name) for name in _KEYS):
        at.warn(f"names no key ({', '.join(_KEYS)}), so requests go to any endpoint")


_consistent_hash = built(
    ConsistentHash,
    {
        "httpHeaderName": text,
        "httpCookie": _cookie,
        "useSourceIp": boolean,
        "httpQueryParameterName": text,
        "ringHash": built(RingHash, {"minimumRingSize": _uint64}),
        "maglev": _maglev,
        "minimumRingSize": _uint64,
    },
    given=(
        at_most_one(*_KEYS),
        at_most_one("ringHash", "maglev"),
        _old_ring_size,
        _keyless,
    ),
)

_warmup = built(Warmup, {"duration": duration, "minimumPercent": number(0, 100), "aggression": number(1e-9, 1e9)})

_backend_utilization = built(
    BackendUtilization,
    {
        "errorUtilizationPenaltyPercent": unsigned,
        "metricNamesForComputingUtilization": items(text),
        "weightExpirationPeriod": text,
        "weightStabilizationPeriod": text,
        "weightUpdatePeriod": text,
    },
)


def _old_warmup(at: At, given: Given) -> None:
    if "warmup" in given and "warmupDurationSecs" in given:
        at.down("warmupDurationSecs").warn("does nothing beside warmup, whose old form it is; remove it")


_NO_WARMUP = (Simple.RANDOM, Simple.PASSTHROUGH)


def _warming(at: At, given: Given) -> None:
    """Envoy's slow start is for algorithms that go by weights."""
    simple = given.get("simple")
    other = simple if simple in _NO_WARMUP else next((each for each in _BY_KEY_OR_LOAD if given.get(each)), None)
    for name in ("warmup", "warmupDurationSecs"):
        if other and given.get(name):
            at.down(name).warn(f"does nothing with {other}: only ROUND_ROBIN and LEAST_REQUEST warm endpoints up")


_BY_KEY_OR_LOAD = ("consistentHash", "backendUtilization")

load_balancer = built(
    LoadBalancer,
    {
        "simple": choice(Simple),
        "consistentHash": _consistent_hash,
        "backendUtilization": _backend_utilization,
        "localityLbSetting": locality_setting,
        "zoneAwareLbSetting": zone_aware_setting,
        "warmup": _warmup,
        "warmupDurationSecs": partial(duration, whole=False),  # Istio looks at the new form only
    },
    given=(
        at_most_one("simple", "consistentHash"),
        at_most_one("simple", "backendUtilization"),
        at_most_one("consistentHash", "backendUtilization"),
        at_most_one("localityLbSetting", "zoneAwareLbSetting"),
        _old_warmup,
        _warming,
    ),
)
