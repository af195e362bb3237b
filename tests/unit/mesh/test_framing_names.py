"""Names that nobody's changes of headers may have, since they say how a message is framed, or whose it is: for every
kind that edits headers they are refused or warned about by name, never left out without a word."""

from __future__ import annotations

from itertools import product

import pytest

from proxy.mesh.kinds.header_edits import FRAMING
from proxy.wire.http.edits import may_edit
from tests.unit.mesh.mesh_rig import Object, loaded, shop, thing, virtual

OURS = sorted({*FRAMING, "host"})
PARENT = {"group": "", "kind": "Service", "name": "cart"}
BACKEND = {"name": "cart", "port": 80}


def modified(kind: str, where: str, how: str, name: str) -> Object:
    said: Object = {how: [name] if how == "remove" else [{"name": name, "value": "a"}]}
    filters = [{"type": where, where[0].lower() + where[1:]: said}]
    rule: Object = {"filters": filters, "backendRefs": [BACKEND]}
    if kind == "backend":
        kind, rule = "HTTPRoute", {"backendRefs": [{**BACKEND, "filters": filters}]}
    return thing(kind, "gateway.networking.k8s.io/v1", "route", spec={"parentRefs": [PARENT], "rules": [rule]})


def told(*objects: Object) -> str:
    """All faults and warnings."""
    result = loaded(*objects)
    return "\n".join([*map(str, result.faults), *result.warnings])


CASES = list(
    product(
        ("HTTPRoute", "GRPCRoute", "backend"),
        ("RequestHeaderModifier", "ResponseHeaderModifier"),
        ("set", "add", "remove"),
        ("upper", "lower"),
    )
)


@pytest.mark.parametrize(("kind", "where", "how", "case"), CASES)
def test_routes_of_the_gateway_api(kind: str, where: str, how: str, case: str) -> None:
    for name in OURS:
        said = told(*shop(modified(kind, where, how, getattr(name, case)())))
        if (name, where, how) == ("host", "RequestHeaderModifier", "set"):
            assert "host" not in said  # that is the authority
        else:
            assert f"{name} is not a header" in said and "get 500" in said, (name, said)


@pytest.mark.parametrize("value", ["a b", "a/b", "a:x", "", "user@a"])
def test_a_host_that_is_none(value: str) -> None:
    made = modified("HTTPRoute", "RequestHeaderModifier", "set", "Host")
    made["spec"]["rules"][0]["filters"][0]["requestHeaderModifier"]["set"][0]["value"] = value
    assert "set[0].value: must " in told(*shop(made))


@pytest.mark.parametrize(("where", "how"), list(product(("request", "response"), ("set", "add", "remove"))))
def test_VirtualServices(where: str, how: str) -> None:
    for name in OURS:
        edit: Object = {how: [name.title()] if how == "remove" else {name.title(): "a"}}
        rule = {"route": [{"destination": {"host": "cart"}}], "headers": {where: edit}}
        said = told(*shop(virtual({"hosts": ["cart"], "http": [rule]})))
        if name == "host" and where == "request" and how != "remove":
            assert not said
        else:
            assert f"headers.{where}.{how}" in said and ("left out" in said or "authority" in said), (name, said)


@pytest.mark.parametrize("field", ["outputPayloadToHeader", "outputClaimToHeaders"])
def test_what_tokens_say(field: str) -> None:
    for name in OURS:
        given: object = name if field == "outputPayloadToHeader" else [{"header": name.title(), "claim": "sub"}]
        spec = {"targetRefs": [PARENT], "jwtRules": [{"issuer": "i", "jwks": '{"keys": []}', field: given}]}
        made = thing("RequestAuthentication", "security.istio.io/v1", "tokens", spec=spec)
        assert "says how a request is framed or routed" in told(*shop(made)), name


def test_the_worker_leaves_no_other_name_out() -> None:
    assert [name for name in OURS if may_edit(name.encode())] == []
    assert may_edit(b"x-user")
