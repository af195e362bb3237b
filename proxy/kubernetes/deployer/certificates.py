"""Whether a listener's certificates can be used: its `tls.certificateRefs` (Gateway API, GatewayTLSConfig). Pure.

A Secret of another namespace needs a ReferenceGrant there, which is asked for first: without one nothing is said of
the Secret, not even whether it is there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxy.kubernetes.deployer.wish import GROUP, Listener, Reference, Wish

Object = Mapping[str, Any]
Fault = tuple[str, str]
"""Reason and message."""


def fault_of(
    listener: Listener, wish: Wish, secret: Callable[[str, str], Object | None], grants: Iterable[Object]
) -> Fault | None:
    """Why not; None if they can, or there are none. `secret`: by namespace and name."""
    for each in listener.certificates:
        if fault := _fault(each, wish, secret, grants):
            return fault
    return None


def _fault(
    named: Reference, wish: Wish, secret: Callable[[str, str], Object | None], grants: Iterable[Object]
) -> Fault | None:
    invalid = "InvalidCertificateRef"
    if (named.group, named.kind) != ("", "Secret"):
        return invalid, f"{named.kind} of group {named.group!r} is not supported; use a Secret"
    if named.namespace != wish.namespace and not permitted((GROUP, "Gateway", wish.namespace), named, grants):
        return "RefNotPermitted", f"no ReferenceGrant in {named.namespace} permits it to refer to Secret {named.name}"
    found = secret(named.namespace, named.name)
    if found is None:
        return invalid, f"there is no Secret {named.namespace}/{named.name}"
    said = _unusable(found.get("data") or {})
    return (invalid, f"Secret {named.namespace}/{named.name}: {said}") if said else None


def permitted_of(wish: Wish, grants: Iterable[Object]) -> dict[str, set[str]]:
    """The Secrets that its listeners may refer to, by namespace: what its waypoint gets the right to read."""
    grants, found = list(grants), dict[str, set[str]]()
    for each in (each for listener in wish.listeners if not listener.unserved for each in listener.certificates):
        beside = each.namespace == wish.namespace or permitted((GROUP, "Gateway", wish.namespace), each, grants)
        if beside and (each.group, each.kind) == ("", "Secret"):
            found.setdefault(each.namespace, set()).add(each.name)
    return found


def permitted(source: tuple[str, str, str], named: Reference, grants: Iterable[Object]) -> bool:
    """Whether one of these ReferenceGrants lets `source`, by group, kind and namespace, refer to what is named."""
    return any(_permits(each, source, named) for each in grants)


def _permits(grant: Object, source: tuple[str, str, str], named: Reference) -> bool:
    if grant["metadata"]["namespace"] != named.namespace:
        return False
    sources = [(each["group"], each["kind"], each["namespace"]) for each in grant["spec"]["from"]]
    targets = [(each["group"], each["kind"], each.get("name") or named.name) for each in grant["spec"]["to"]]
    return source in sources and (named.group, named.kind, named.name) in targets


def _unusable(data: Mapping[str, str]) -> str:
    try:
        leaf = x509.load_pem_x509_certificates(_bytes(data, "tls.crt"))[0]
        key = load_pem_private_key(_bytes(data, "tls.key"), None)
    except KeyError as fault:
        return f"{fault.args[0]} is missing"
    except (ValueError, TypeError) as fault:
        return f"tls.crt and tls.key must be a certificate and its key, in PEM: {str(fault)[:100]}"
    return "" if key.public_key() == leaf.public_key() else "tls.key is not the key of tls.crt"


def _bytes(data: Mapping[str, str], field: str) -> bytes:
    try:
        return base64.b64decode(data[field])
    except binascii.Error as fault:
        raise ValueError(str(fault)) from None
