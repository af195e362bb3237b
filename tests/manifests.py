"""The guide's manifests as tests write them: one object a file, in a directory that a replica follows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol


class Member(Protocol):
    """An endpoint, as an EndpointSlice names it."""

    name: str
    ip: str
    port: int


RULE: dict[str, Any] = {
    "consecutive5xxErrors": 3,
    "interval": "10s",
    "baseEjectionTime": "30s",
    "maxEjectionPercent": 50,
}


def namespace() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "httpbin", "labels": {"istio.io/use-waypoint": "httpbin-waypoint"}},
    }


def gateway(http: int = 0, hbone: int = 0, **labels: str) -> dict[str, Any]:
    """The waypoint's, with a listener of either kind, or both, on these ports."""
    listeners: list[dict[str, Any]] = []
    if hbone:
        listeners.append({"name": "mesh", "port": hbone, "protocol": "HBONE"})
    if http:
        same = {"namespaces": {"from": "Same"}}
        listeners.append({"name": "http", "port": http, "protocol": "HTTP", "allowedRoutes": same})
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "httpbin-waypoint", "namespace": "httpbin", "labels": labels},
        "spec": {"gatewayClassName": "istio-waypoint", "listeners": listeners},
    }


def pod(name: str, ip: str, *, captured: bool, account: str = "in-ambient") -> dict[str, Any]:
    """A Pod; `captured`: behind a ztunnel."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "httpbin",
            "annotations": {"ambient.istio.io/redirection": "enabled"} if captured else {},
        },
        "spec": {"serviceAccountName": account},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
    }


def service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "in-ambient", "namespace": "httpbin"},
        "spec": {"clusterIP": "10.96.45.123", "ports": [{"name": "http", "port": 8000, "targetPort": 8080}]},
    }


def slice_of(members: Sequence[Member]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "in-ambient-1",
            "namespace": "httpbin",
            "labels": {"kubernetes.io/service-name": "in-ambient"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": members[0].port if members else 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [member.ip],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": "httpbin", "name": member.name},
            }
            for member in members
        ],
    }


def rule(connect_timeout: str = "", **changes: Any) -> dict[str, Any]:
    policy: dict[str, Any] = {"outlierDetection": RULE | changes}
    if connect_timeout:
        policy["connectionPool"] = {"tcp": {"connectTimeout": connect_timeout}}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "in-ambient-failover", "namespace": "httpbin"},
        "spec": {"host": "in-ambient", "trafficPolicy": policy},
    }


class Manifests:
    """A directory of manifests, one object a file; files are replaced whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, body: dict[str, Any]) -> None:
        temporary = self.path / f".{name}"
        temporary.write_text(json.dumps(body, indent=1))
        temporary.rename(self.path / f"{name}.json")

    def remove(self, name: str) -> None:
        (self.path / f"{name}.json").unlink()
