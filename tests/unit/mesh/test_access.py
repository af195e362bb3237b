"""What an AuthorizationPolicy may say: rows of the reference (l7-policy.md 3.1 to 3.3, Z) by the ids of their tests."""

from typing import Any

import pytest

from tests.unit.mesh.mesh_rig import loaded, shop, thing

CART = {"kind": "Service", "group": "", "name": "cart"}


def policy(**spec: Any) -> dict[str, Any]:
    return thing("AuthorizationPolicy", "security.istio.io/v1", "odd", spec={"targetRefs": [CART]} | spec)


def said_of_source(**source: Any) -> str:
    return said_of({"from": [{"source": source}]})


def said_of(*rules: Any, **spec: Any) -> str:
    """The faults of an AuthorizationPolicy with these rules."""
    return "\n".join(map(str, loaded(*shop(policy(rules=list(rules), **spec))).faults))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        pytest.param(said_of({"from": []}), "from: is an empty list, which would match nobody", id="Z7-from"),
        pytest.param(said_of({"to": []}), "to: is an empty list, which would match nobody", id="Z7-to"),
        pytest.param(said_of_source(), "source: says nothing", id="Z7-source"),
        pytest.param(said_of_source(namespaces=[]), "source: says nothing", id="Z7-list"),
        pytest.param(said_of_source(namespaces=[""]), "namespaces[0]: must not be empty", id="Z7-text"),
        pytest.param(said_of({"to": [{"operation": {}}]}), "operation: says nothing", id="Z7-operation"),
        pytest.param(said_of(action="DENY"), "rules: is required with action DENY", id="Z6-deny"),
        pytest.param(said_of(action="CUSTOM"), "rules: is required with action CUSTOM", id="Z6-custom"),
        pytest.param(said_of({"when": [{"key": "k", "values": ["a"]}]}), "when[0].key: must be one of", id="Z11-key"),
        pytest.param(said_of({"when": [{"key": "source.ip"}]}), "neither values nor notValues", id="Z11-values"),
        pytest.param(
            said_of({"when": [{"key": "source.ip", "values": ["a"]}]}), "values[0]: must be an IP address", id="Z11-ip"
        ),
        pytest.param(
            said_of({"when": [{"key": "request.headers[a b]", "values": ["a"]}]}), "key: must be one of", id="Z11-name"
        ),
        pytest.param(said_of_source(serviceAccounts=["a*"]), "must be NAME or NAMESPACE/NAME", id="Z23-star"),
        pytest.param(said_of_source(serviceAccounts=["a/b/c"]), "must be NAME or NAMESPACE/NAME", id="Z23-parts"),
        pytest.param(said_of_source(serviceAccounts=["a"] * 17), "at most 16 are allowed", id="Z23-many"),
        pytest.param(
            said_of_source(serviceAccounts=["a"], namespaces=["b"]), "cannot be used together with namespaces", id="Z23"
        ),
        pytest.param(said_of_source(trustDomains=["a*b"]), "must be the name of a trust domain", id="Z24-star"),
        pytest.param(said_of_source(trustDomains=["a/b"]), "must be the name of a trust domain", id="Z24-slash"),
        pytest.param(said_of_source(ipBlocks=["10.0.0.0/33"]), "must be an IP address or a CIDR block", id="Z26"),
        pytest.param(said_of({"to": [{"operation": {"ports": ["http"]}}]}), "must be a port", id="Z36"),
        pytest.param(said_of({"to": [{"operation": {"paths": ["/a{*}"]}}]}), "as whole segments", id="Z35-part"),
        pytest.param(said_of({"to": [{"operation": {"paths": ["/{**}/a"]}}]}), "the last segment only", id="Z35-last"),
        pytest.param(said_of({"to": [{"operation": {"paths": ["/{a}"]}}]}), "no other braces", id="Z35-braces"),
        pytest.param(
            said_of({"when": [{"key": "experimental.envoy.filters.a", "values": ["b"]}]}), "none of here", id="Z38"
        ),
        pytest.param(
            said_of({"from": [{"source": {"principals": ["a"]}}]}, action="CUSTOM"), "does not know", id="Z40"
        ),
    ],
)
def test_what_could_not_be_meant_by_a_policy_is_a_fault(said: str, wanted: str) -> None:
    assert wanted in said


def test_a_policy_has_at_most_16_targets() -> None:
    many = policy(targetRefs=[{**CART, "name": f"s{number}"} for number in range(17)])
    assert "targetRefs: has 17 items; at most 16 are allowed" in "\n".join(map(str, loaded(*shop(many)).faults))
