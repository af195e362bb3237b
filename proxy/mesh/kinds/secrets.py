"""Secrets and ConfigMaps, of which only what TLS to endpoints may be made with is read: `credentialName` names them.

What is in them is never told, neither in faults nor anywhere else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.report import Report

CONFIG_MAP = "configmap://"
"""Begins a `credentialName` that is a ConfigMap's."""
CHAINS = ("cert", "tls.crt")
KEYS = ("key", "tls.key")
ROOTS = ("cacert", "ca.crt")
LISTS = ("crl", "ca.crl")
_READ = frozenset((*CHAINS, *KEYS, *ROOTS, *LISTS))
"""What Istio finds there (secrets.go): of generic Secrets, and of those of type kubernetes.io/tls."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A valid one: what is in it, by Kubernetes' names for it."""

    manifest: Manifest
    data: Mapping[str, bytes] = field(repr=False)


def read(manifest: Manifest, body: Body, report: Report) -> Secret:
    """A Secret. As the API server has it, `stringData` takes the place of `data`."""
    data = {}
    for name, value in _texts(body, "data"):
        try:
            data[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            report.fault(manifest, ("data", name), "is not base64; what is not goes into stringData")
    data |= {name: value.encode() for name, value in _texts(body, "stringData")}
    return Secret(manifest, data)


def read_config_map(manifest: Manifest, body: Body, report: Report) -> Secret:
    """A ConfigMap: CAs alone are taken from it."""
    return Secret(manifest, {name: value.encode() for name, value in _texts(body, "data") if name in (*ROOTS, *LISTS)})


def _texts(body: Body, field: str) -> list[tuple[str, str]]:
    found = body.get(field)
    pairs = found.items() if isinstance(found, dict) else ()
    return [
        (name, "".join(value.split()) if field == "data" and body.get("kind") == "Secret" else value)
        for name, value in pairs
        if name in _READ and isinstance(value, str)
    ]
