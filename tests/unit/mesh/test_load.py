"""What load() gives back: the demo, the choice of a Gateway, and all faults at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from proxy.mesh.model import Cluster, Endpoint, Fault, Profile
from proxy.mesh.reading import documents as reading
from proxy.mesh.reading import tree
from proxy.mesh.resolving.load import Document, Loader, load
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import EffectivePolicy, Origin
from tests.unit.mesh.mesh_rig import (
    demo_documents,
    documents,
    endpoint_slice,
    faults,
    gateway,
    loaded,
    names_of,
    namespace,
    rule,
    service,
    shop,
)


def test_the_demo_is_the_guides_mesh_and_has_nothing_to_warn_of() -> None:
    result = load(demo_documents())
    assert (result.faults, result.warnings, result.unknown_kinds) == ((), (), {})
    assert result.snapshot is not None
    assert result.snapshot.gateway == "httpbin/httpbin-waypoint"
    found: dict[str, Any] = {
        "identity": "ns/httpbin/sa/in-ambient",
        "profile": Profile("in-ambient", "httpbin", "in-ambient", "", "in-ambient", "latest"),
    }
    assert dict(result.snapshot.clusters) == {
        "httpbin/in-ambient:8000": Cluster(
            name="httpbin/in-ambient:8000",
            envoy_name="inbound-vip|8000|http|in-ambient.httpbin.svc.cluster.local",
            authority="in-ambient.httpbin.svc.cluster.local:8000",
            endpoints=(
                Endpoint("127.10.0.15", 8080, "in-ambient-7d8f9b6c54-abc12", **found),
                Endpoint("127.10.0.16", 8080, "in-ambient-7d8f9b6c54-def34", **found),
                Endpoint("127.10.0.17", 8080, "in-ambient-7d8f9b6c54-ghi56", **found),
            ),
            policy=EffectivePolicy(
                outlier_detection=OutlierDetection(3, 10_000, 30_000, 50),
                rule="httpbin/in-ambient-failover",
                origins={
                    "outlierDetection": Origin(
                        "httpbin/in-ambient-failover",
                        ("spec", "trafficPolicy", "outlierDetection"),
                        frozenset({"consecutive5xxErrors", "interval", "baseEjectionTime", "maxEjectionPercent"}),
                    )
                },
            ),
            closed="",
        )
    }
    (listener,) = result.snapshot.listeners
    assert (listener.name, listener.port, listener.protocol) == ("http", 8000, "HTTP")
    forms = [
        "in-ambient",
        "in-ambient.httpbin",
        "in-ambient.httpbin.svc",
        "in-ambient.httpbin.svc.cluster.local",
        "in-ambient.httpbin.svc.cluster.local.",
        "10.96.45.123",
        "127.0.0.1",
    ]
    assert set(names_of(listener)) == {form + port for form in forms for port in ("", ":8000")}


def test_the_demo_works_in_json_and_as_a_list() -> None:
    objects = [yaml.safe_load(document.text) for document in demo_documents()]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    assert load([Document("all.json", text)]).snapshot == load(demo_documents()).snapshot


def test_the_order_of_the_documents_does_not_matter() -> None:
    assert load(demo_documents()[::-1]).snapshot == load(demo_documents()).snapshot


def test_no_gateway_is_a_reason_and_no_fault() -> None:
    result = loaded(namespace(), service())
    assert (result.snapshot, result.reason, result.faults) == (None, "no Gateway", ())
    assert load([]).reason == "no Gateway"


def test_a_named_gateway_that_is_absent_is_a_reason() -> None:
    result = loaded(*shop(), gateway="shop/other")
    assert (result.snapshot, result.reason, result.faults) == (None, "no Gateway shop/other", ())


def test_a_named_gateway_is_chosen_among_several() -> None:
    result = loaded(*shop(gateway(name="other")), gateway="shop/wp")
    assert result.snapshot is not None
    assert result.snapshot.gateway == "shop/wp"


def test_several_gateways_without_a_choice_are_a_fault_that_names_them() -> None:
    (fault,) = faults(*shop(gateway(name="other")))
    assert fault.startswith("Gateway-1.yaml:1: Gateway shop/wp: there are 2 Gateways: ")
    assert "shop/wp (Gateway-1.yaml:1), shop/other (Gateway-4.yaml:1)" in fault
    assert fault.endswith("choose one with --gateway NAMESPACE/NAME")


@pytest.mark.parametrize("wanted", ["wp", "", "/", "shop/", "/wp", "a b/c"])
def test_a_gateway_argument_of_another_form_is_a_fault(wanted: str) -> None:
    (fault,) = faults(*shop(), gateway=wanted)
    assert fault.startswith("--gateway: must be NAMESPACE/NAME, not ")


def test_everything_wrong_is_told_at_once_and_in_order() -> None:
    broken = [
        Document("b.yaml", "kind: [\n"),
        Document("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  ports:\n    - port: 0\n"),
        *documents(gateway(name="one"), gateway(name="two"), rule({"outlierDetection": {"intervall": "10s"}})),
    ]
    result = load(broken)
    assert result.snapshot is None
    assert result.reason == "the configuration has 4 faults"
    assert [(fault.path, fault.line) for fault in result.faults] == [
        ("DestinationRule-2.yaml", 10),
        ("Gateway-0.yaml", 1),
        ("a.yaml", 6),
        ("b.yaml", 2),
    ]


def test_a_fault_is_written_with_file_line_object_and_field() -> None:
    result = loaded(*shop(rule({"outlierDetection": {"maxEjectionPercent": "50"}})))
    assert [str(fault) for fault in result.faults] == [
        "DestinationRule-4.yaml:10: DestinationRule shop/rule: spec.trafficPolicy.outlierDetection.maxEjectionPercent: "
        'must be a whole number, not "50" (remove the quotes)'
    ]


def test_the_text_of_a_fault_leaves_out_what_is_empty_and_stays_on_one_line() -> None:
    assert str(Fault("a.yaml", 0, "", "", "", "gone")) == "a.yaml: gone"
    assert str(Fault("a.yaml", 3, "Node", "n1", "", "odd\n\x1b[2J")) == "a.yaml:3: Node n1: odd??[2J"


def test_unknown_kinds_are_counted() -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a", "namespace": "shop"}}
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": []}
    istio = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "wp", "namespace": "shop"}}
    result = loaded(*shop(claim, kustomization, kustomization, istio))
    assert result.unknown_kinds == {
        "PersistentVolumeClaim": 1,
        "Kustomization.kustomize.config.k8s.io": 2,
        "Gateway.networking.istio.io": 1,
    }
    assert result.snapshot is not None
    assert result.warnings == ()


def test_a_known_kind_of_an_unknown_group_is_counted_and_warned_of() -> None:
    result = loaded(*shop({**rule({}), "apiVersion": "network.istio.io/v1"}))
    assert result.unknown_kinds == {"DestinationRule.network.istio.io": 1}
    assert "the DestinationRule understood here is of networking.istio.io" in result.warnings[0]


def test_warnings_are_in_the_snapshot_too() -> None:
    result = loaded(*shop(rule({"loadBalancer": {"backendUtilization": {}}})))
    assert result.snapshot is not None
    assert (
        result.snapshot.warnings
        == result.warnings
        == (
            "DestinationRule-4.yaml:10: DestinationRule shop/rule: spec.trafficPolicy.loadBalancer."
            "backendUtilization: is not in force in this version (ROUND_ROBIN is used)",
        )
    )


def test_a_thousand_endpoints_keep_their_order() -> None:
    members = [{"addresses": [f"10.1.{index // 250}.{index % 250 + 1}"]} for index in range(1000)]
    result = loaded(namespace(), gateway(), service(), endpoint_slice(*members))
    assert result.snapshot is not None
    found = [endpoint.ip for endpoint in result.snapshot.clusters["shop/cart:80"].endpoints]
    assert found == [entry["addresses"][0] for entry in members]


def test_an_ipv6_endpoint_is_written_in_brackets() -> None:
    assert Endpoint("fd00::1", 8080, "").address == "[fd00::1]:8080"
    assert Endpoint("10.0.0.1", 8080, "").address == "10.0.0.1:8080"


def test_an_object_given_twice_is_checked_all_the_same() -> None:
    said = faults(*shop(gateway(), rule({"outlierDetection": {"interval": 1}}), rule({})))
    assert ["given twice" in text for text in said] == [False, True, False, True]
    assert not any("there are 2 Gateways" in text for text in said)


def test_what_has_not_changed_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def read(text: str) -> Any:
        parsed.append(text)
        return tree.read(text)

    monkeypatch.setattr(reading, "read", read)
    loader = Loader()
    one, two = Document("one.yaml", "kind: Unknown\n"), Document("two.yaml", "kind: Unknown\n---\nkind: Unknown\n")
    first = loader.load((one, two))
    parsed.clear()
    assert loader.load((one, two)) == first == load((one, two))
    parsed.clear()
    changed = Document("two.yaml", "kind: Unknown\n---\nkind: Other\n")
    loader.load((one, changed))
    loader.load((changed,))
    loader.load((one, changed))
    assert parsed == ["---\nkind: Other\n", one.text]
