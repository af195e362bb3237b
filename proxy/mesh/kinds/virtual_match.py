"""`http[].match` of a VirtualService (networking/v1alpha3/virtual_service.proto): what a request must be like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.mesh.kinds import names
from proxy.mesh.kinds.string_match import PRESENT, StringMatch, string_match
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, Check, boolean, integer, items, matching, text
from proxy.mesh.traffic.routing import Op

MESH = "mesh"
CLAIMS = "@request.auth.claims"
UNSEEN = frozenset({":path", ":status"})
"""Names that Istio takes for headers and that no condition is about here: the path with its query, and an answer's."""
PSEUDO = frozenset({":authority", ":method", ":scheme"})
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


def claim_of(name: str) -> str:
    """The claim that a header's name stands for, as `[group][id]`; "" if it is a header's. Istio's ToRoutingClaim."""
    rest = name[len(CLAIMS) :] if name.lower().startswith(CLAIMS) else ""
    if len(rest) > 1 and rest[0] == ".":
        return "".join(f"[{each}]" for each in rest[1:].split("."))
    return rest if len(rest) > 2 and rest[0] == "[" and rest[-1] == "]" else ""


def _by_name(match: Check[StringMatch], good: bool) -> Check[dict[str, StringMatch]]:
    """A mapping of names to what their values are like, null: whatever. `good`: they are those of headers."""

    def check(at: At, value: object) -> dict[str, StringMatch] | None:
        if not isinstance(value, dict):
            at.fault(f"must be a mapping, not {shown(value)}")
            return None
        before, found = at.faults, {}
        for name, given in value.items():
            here = at.down(name)
            if good and not (_is_token(name) or claim_of(name) or name in PSEUDO | UNSEEN):
                here.fault(f"must be the name of a header, not {shown(name)}")
            elif (read := PRESENT if given is None else match(here, given)) is not None:
                found[name] = read
        return found if at.faults == before else None

    return check


def _gateway(at: At, value: object) -> str | None:
    found = text(at, value)
    namespace, slash, name = (found or "").partition("/")
    if found is None or (slash and names.is_label(namespace) and names.is_label(name)):
        return found
    if slash or not names.is_host(found, wildcard=False):
        at.fault(f'must be "{MESH}" or a Gateway as NAMESPACE/NAME, not {shown(found)}')
    return found


gateways = items(_gateway)
_text = string_match()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """All of it holds. `gateways` that are not the mesh's: it is not for a waypoint."""

    name: str = optional(text, "")
    uri: StringMatch | None = optional(string_match(empty_prefix=True), None)
    ignore_uri_case: bool = optional(boolean, False)
    scheme: StringMatch | None = optional(_text, None)
    method: StringMatch | None = optional(_text, None)
    authority: StringMatch | None = optional(_text, None)
    headers: Mapping[str, StringMatch] = optional(_by_name(_text, True), {})
    without_headers: Mapping[str, StringMatch] = optional(_by_name(string_match(star=True), True), {})
    query_params: Mapping[str, StringMatch] = optional(_by_name(_text, False), {})
    port: int = optional(integer(0, 65535), 0)
    source_namespace: str = optional(matching(names.is_label, "the name of a namespace"), "")
    source_labels: tuple[tuple[str, str], ...] = optional(names.labels, ())
    gateways: tuple[str, ...] = optional(gateways, ())
    stat_prefix: str = optional(text, "")

    @property
    def for_mesh(self) -> bool:
        """Whether it is for a waypoint."""
        return not self.gateways or MESH in self.gateways

    @property
    def needs_whole_path(self) -> bool:
        """Whether it compares paths and none of its prefixes stands for a part of one."""
        return self.uri is not None and self.uri.op is not Op.STARTS

    @property
    def unknowable(self) -> bool:
        """Whether it asks what is never known of a request, so that it never holds."""
        return bool(self.source_labels) or any(name in UNSEEN for name in (*self.headers, *self.without_headers))

    @property
    def is_root(self) -> bool:
        """Whether its path is any."""
        uri = self.uri
        return uri is None or uri.op is Op.IS_THERE or uri in (StringMatch(Op.STARTS, "/"), StringMatch(Op.STARTS))

    @property
    def is_any(self) -> bool:
        """Whether every request fits that comes to its port."""
        others = self.scheme, self.method, self.authority, self.headers, self.without_headers, self.query_params
        return self.is_root and not any(others) and not self.source_namespace and not self.unknowable


match = struct(Match)
ANY = Match(
    name="",
    uri=None,
    ignore_uri_case=False,
    scheme=None,
    method=None,
    authority=None,
    headers={},
    without_headers={},
    query_params={},
    port=0,
    source_namespace="",
    source_labels=(),
    gateways=(),
    stat_prefix="",
)
"""What a rule without any match is for."""
