"""What an AuthorizationPolicy asks for (security/v1beta1/authorization_policy.proto), as Istio's waypoint takes it.

A rule matches a request if one of its sources, one of its operations and all of its conditions do; what it does not say
anything about, any request has. Within a source or an operation all terms must match; of a term's values one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """`action`."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


class Fact(StrEnum):
    """What of a request a term is about, by the name that `when` has for it; what it has none for has ours."""

    PRINCIPAL = "source.principal"
    NAMESPACE = "source.namespace"
    SERVICE_ACCOUNT = "source.serviceAccount"
    TRUST_DOMAIN = "source.trustDomain"
    SOURCE_IP = "source.ip"
    REMOTE_IP = "remote.ip"
    REQUEST_PRINCIPAL = "request.auth.principal"
    AUDIENCES = "request.auth.audiences"
    PRESENTER = "request.auth.presenter"
    CLAIM = "request.auth.claims"
    HEADER = "request.headers"
    HOST = "request.host"
    METHOD = "request.method"
    PATH = "request.path"
    PORT = "destination.port"
    DESTINATION_IP = "destination.ip"
    SNI = "connection.sni"


HTTP_ONLY = frozenset(
    {Fact.REQUEST_PRINCIPAL, Fact.AUDIENCES, Fact.PRESENTER, Fact.CLAIM, Fact.HEADER, Fact.HOST, Fact.METHOD, Fact.PATH}
)
"""What a connection that carries no HTTP has not."""
OF_TOKENS = frozenset({Fact.REQUEST_PRINCIPAL, Fact.AUDIENCES, Fact.PRESENTER, Fact.CLAIM})
"""What only a token has that has been verified."""


@dataclass(frozen=True, slots=True)
class Term:
    """A fact has one of `values`, or none of them (`negated`). `key`: the header's name, the claim's path."""

    fact: Fact
    values: tuple[str, ...]
    negated: bool = False
    key: str = ""


Terms = tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One of `rules`. No `sources`: any; no `operations`: any."""

    sources: tuple[Terms, ...] = ()
    operations: tuple[Terms, ...] = ()
    conditions: Terms = ()


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """`name` is "namespace/name". An ALLOW without rules lets nobody in."""

    name: str
    action: Action = Action.ALLOW
    rules: tuple[AccessRule, ...] = ()
    dry_run: bool = False

    @property
    def decides(self) -> bool:
        """Whether it has a say in who gets in: it does not only tell what it would do, or log."""
        return not self.dry_run and self.action in (Action.ALLOW, Action.DENY)
