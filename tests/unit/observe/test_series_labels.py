"""What the labels of Istio's metrics say of a client, an endpoint, a Service."""

import pytest

from proxy.observe import series_labels
from proxy.observe.series_labels import DESTINATION, REQUEST_LABELS, SOURCE, STREAM_LABELS, Values

WEB = b"spiffe://cluster.local/ns/shop/sa/web"
ZTUNNEL = (
    b"k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=web,service.name=web-app,"
    b"service.version=v2,cloud.region=r1,cloud.availability_zone=z1"
)


def source(identity: bytes = b"", baggage: bytes = b"") -> dict[str, str]:
    values = dict(zip(SOURCE, series_labels.source_of(identity, baggage), strict=True))
    return {name.removeprefix("source_"): value.decode() for name, value in values.items()}


def test_the_labels_are_istios_in_their_order() -> None:
    assert " ".join(REQUEST_LABELS) == (
        "reporter source_workload source_canonical_service source_canonical_revision source_workload_namespace "
        "source_principal source_app source_version source_cluster destination_workload destination_workload_namespace "
        "destination_principal destination_app destination_version destination_service destination_canonical_service "
        "destination_canonical_revision destination_service_name destination_service_namespace destination_cluster "
        "request_protocol response_code grpc_response_status response_flags connection_security_policy"
    )
    assert set(REQUEST_LABELS) - set(STREAM_LABELS) == {"response_code", "grpc_response_status"}


def test_of_a_client_that_is_not_in_the_mesh_nothing_is_known() -> None:
    assert set(source().values()) == {"unknown", "latest"}
    assert source()["canonical_revision"] == "latest"


def test_K11_the_certificate_says_namespace_and_principal() -> None:
    known = source(WEB)
    assert (known["principal"], known["workload_namespace"], known["workload"]) == (WEB.decode(), "shop", "unknown")


def test_K11_K12_the_baggage_says_the_rest() -> None:
    assert source(WEB, ZTUNNEL) == {
        "workload": "web",
        "canonical_service": "web-app",
        "canonical_revision": "v2",
        "workload_namespace": "shop",
        "principal": WEB.decode(),
        "app": "web-app",
        "version": "v2",
        "cluster": "Kubernetes",
    }


def test_nobody_says_himself_into_another_namespace() -> None:
    assert source(WEB, b"k8s.namespace.name=bank")["workload_namespace"] == "shop"
    assert source(b"", b"k8s.namespace.name=bank")["workload_namespace"] == "bank"


@pytest.mark.parametrize(
    ("baggage", "name", "expected"),
    [
        (b"k8s.cronjob.name=tick", "workload", "tick"),
        (b"k8s.job.name=tick-1,k8s.pod.name=tick-1-x", "workload", "tick-1"),
        (b" app.name = a%20b ;x=y , app.name=c", "app", "a b"),
        (b"app.name=a%0Ab%22", "app", 'a?b"'),
        (b"app.name=" + b"x" * 999, "app", "x" * 253),
        (b"app.name=\xff\xfe", "app", "unknown"),
        (b"=,;,=;,app.version", "version", "unknown"),
        (b"app.version=7,service.version=8", "version", "7"),
    ],
)
def test_K20_any_baggage_is_read(baggage: bytes, name: str, expected: str) -> None:
    assert source(WEB, baggage)[name] == expected


def destination(profile: list[str], identity: str = "", domain: str = "cluster.local") -> Values:
    return series_labels.destination_of(profile, identity, domain, "Kubernetes")


def test_an_endpoint_is_its_workload() -> None:
    known = destination(["web", "shop", "app", "v1", "name", "rev"], "ns/shop/sa/web")
    assert dict(zip(DESTINATION, known, strict=True))["destination_principal"] == WEB
    assert known == (b"web", b"shop", WEB, b"app", b"v1", b"name", b"rev", b"Kubernetes")
    assert destination([]) == (*(b"unknown",) * 6, b"latest", b"Kubernetes")


def test_a_set_can_be_read_again() -> None:
    service = series_labels.service_of("shop/web:80", b"web.shop.svc.cluster.local")
    rest = (b"http", b"200", b"", b"-", b"none")
    text = series_labels.joined(
        series_labels.source_of(WEB, ZTUNNEL), destination(["web", "shop"] + [""] * 4), service, rest
    )
    values = dict(zip(REQUEST_LABELS, series_labels.split(text), strict=True))
    assert values["destination_service"] == "web.shop.svc.cluster.local"
    assert (values["destination_service_name"], values["destination_service_namespace"]) == ("web", "shop")
    assert (values["source_app"], values["destination_cluster"], values["reporter"]) == (
        "web-app",
        "Kubernetes",
        "waypoint",
    )
    assert (values["grpc_response_status"], values["connection_security_policy"]) == ("", "none")
