"""Which Secrets and ConfigMaps a DestinationRule names for TLS to endpoints, and which Secrets a Gateway for its
listeners, as the API gives them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.mesh.kinds.gateways import HTTPS
from proxy.mesh.kinds.secrets import CONFIG_MAP

Object = dict[str, Any]

_CA_SUFFIX = "-cacert"
"""Of the Secret that has the CAs alone (Istio's SdsCaSuffix)."""
_ORIGINATING = ("SIMPLE", "MUTUAL")


def secrets(rule: Object) -> frozenset[str]:
    """Names of Secrets, which stand beside the Gateway; with each that with its CAs, if there is one."""
    names = {each for each in _named(rule) if not each.startswith(CONFIG_MAP)}
    return frozenset(name + suffix for name in names for suffix in ("", _CA_SUFFIX))


def config_maps(rule: Object) -> frozenset[str]:
    """Names of ConfigMaps beside the rule."""
    return frozenset(each.rpartition("/")[2] for each in _named(rule) if each.startswith(CONFIG_MAP))


def certificates(gateway: Object) -> frozenset[tuple[str, str]]:
    """Secrets that HTTPS listeners name, by namespace and name."""
    own = str(_mapping(gateway.get("metadata")).get("namespace") or "")
    return frozenset(
        (str(each.get("namespace") or own), each["name"])
        for listener in _list(_mapping(gateway.get("spec")).get("listeners"))
        if listener.get("protocol") == HTTPS
        for each in _list(_mapping(listener.get("tls")).get("certificateRefs"))
        if (each.get("group") or "", each.get("kind") or "Secret") == ("", "Secret")
        and isinstance(each.get("name"), str)
    )


def _named(rule: Object) -> Iterator[str]:
    spec = _mapping(rule.get("spec"))
    yield from _of_policy(_mapping(spec.get("trafficPolicy")))
    for subset in _list(spec.get("subsets")):
        yield from _of_policy(_mapping(subset.get("trafficPolicy")))


def _of_policy(policy: Object) -> Iterator[str]:
    for each in (policy, *_list(policy.get("portLevelSettings"))):
        tls = _mapping(each.get("tls"))
        name = tls.get("credentialName")
        if isinstance(name, str) and name and tls.get("mode") in _ORIGINATING:
            yield name


def _mapping(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Object]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
