"""What is made for a Gateway in its namespace: who it is, what runs, how it is reached, how it may be disturbed."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.kubernetes.deployer.overlay import laid_over
from proxy.kubernetes.deployer.status import SERVED
from proxy.kubernetes.deployer.wish import GATEWAY_NAME, Wish

Object = dict[str, Any]

HBONE_PORT, STATUS_PORT, METRICS_PORT = 15008, 15021, 15020
REDIS_FILES = {
    "password": "WAYPOINT_REDIS_PASSWORD_FILE",
    "ca.crt": "WAYPOINT_REDIS_CA",
    "tls.crt": "WAYPOINT_REDIS_CERT",
    "tls.key": "WAYPOINT_REDIS_KEY",
    "sentinel-password": "WAYPOINT_REDIS_SENTINEL_PASSWORD_FILE",
}
"""Keys of the Secret that waypoints read as files, and the settings that say so."""
REDIS_NAMES = {"username": "WAYPOINT_REDIS_USERNAME", "sentinel-username": "WAYPOINT_REDIS_SENTINEL_USERNAME"}
"""Those that they read as settings."""
AUTOSCALER = "HorizontalPodAutoscaler"
USER = 1337
"""Istio's uid for what is part of the mesh: its CNI leaves the traffic of such Pods alone."""
DRAIN_DELAY_S, DRAIN_TIME_S = 5, 20


@dataclass(frozen=True, slots=True)
class Site:
    """What the chart says for all waypoints. `redis_secret`: keys of `REDIS_FILES` and `REDIS_NAMES`, in base64."""

    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    redis: str = ""
    redis_secret: Mapping[str, str] = field(default_factory=dict)
    ca: str = "istiod://istiod.istio-system.svc:15012"
    cluster_id: str = "Kubernetes"
    replicas: int = 2
    arguments: tuple[str, ...] = ()


def children_of(wish: Wish, site: Site, overlays: Sequence[Mapping[str, Object]]) -> Iterator[Object]:
    """Everything but rights, with each of `overlays`, by kind, laid over. An autoscaler only where one asks for it."""
    for ours in _children(wish, site, any(AUTOSCALER in each for each in overlays)):
        labels, kind = ours["metadata"]["labels"], ours["kind"]
        found = functools.reduce(laid_over, (each.get(kind, {}) for each in overlays), ours)
        found["metadata"]["labels"] = (found["metadata"].get("labels") or {}) | labels  # by which it is found again
        yield found


def _children(wish: Wish, site: Site, scaled: bool) -> Iterator[Object]:
    yield _object("v1", "ServiceAccount", wish)
    if site.redis_secret:
        yield _object("v1", "Secret", wish, f"{wish.name}-redis", type="Opaque", data=dict(site.redis_secret))
    deployment = _deployment(wish, site)
    if scaled:
        del deployment["replicas"]  # is the autoscaler's to say
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": wish.name}
        yield _object("autoscaling/v2", AUTOSCALER, wish, spec={"scaleTargetRef": target, "maxReplicas": 5})
    yield _object("apps/v1", "Deployment", wish, spec=deployment)
    yield _object("v1", "Service", wish, spec=_service(wish))
    spec = {"maxUnavailable": 1, "selector": _selector(wish)}
    yield _object("policy/v1", "PodDisruptionBudget", wish, spec=spec)


def _object(api_version: str, kind: str, wish: Wish, name: str = "", **fields: Any) -> Object:
    labels = wish.own_labels()
    annotations = dict(wish.annotations)
    if kind == "Service":
        labels["istio.io/use-waypoint"] = "none"  # or it would be asked to go through itself
        annotations.setdefault("networking.istio.io/traffic-distribution", "PreferClose")
    metadata: Object = {
        "name": name or wish.name,
        "namespace": wish.namespace,
        "labels": labels,
        "ownerReferences": [wish.owner()],
    }
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def _selector(wish: Wish) -> Object:
    return {"matchLabels": {GATEWAY_NAME: wish.name}}


def _service(wish: Wish) -> Object:
    ports = [
        {"name": each.name, "port": each.port, "protocol": "TCP", "appProtocol": each.protocol.lower()}
        for each in {
            each.port: each for each in wish.listeners if each.protocol in SERVED and not each.unserved
        }.values()
    ]
    for name, port, speaks in (("status-port", STATUS_PORT, "tcp"), ("http-metrics", METRICS_PORT, "http")):
        ports.append({"name": name, "port": port, "protocol": "TCP", "appProtocol": speaks})
    asked = next((value for kind, value in wish.addresses if kind == "IPAddress" and value), None)
    return {
        "type": "ClusterIP",
        **({"clusterIP": asked} if asked else {}),
        "ipFamilyPolicy": "PreferDualStack",
        "selector": {GATEWAY_NAME: wish.name},
        "ports": ports,
    }


def _deployment(wish: Wish, site: Site) -> Object:
    labels = wish.own_labels() | {"istio.io/dataplane-mode": "none", "sidecar.istio.io/inject": "false"}
    annotations = dict(wish.annotations) | {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(METRICS_PORT),
        "prometheus.io/path": "/stats/prometheus",
    }
    return {
        "replicas": site.replicas,
        "selector": _selector(wish),
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod(wish, site)},
    }


def _pod(wish: Wish, site: Site) -> Object:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": _selector(wish),
    }
    return {
        "serviceAccountName": wish.name,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": DRAIN_DELAY_S + DRAIN_TIME_S + 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [spread],
        "containers": [_container(wish, site)],
        "volumes": list(_volumes(wish, site)),
        **({"imagePullSecrets": [{"name": each} for each in site.pull_secrets]} if site.pull_secrets else {}),
    }


def _container(wish: Wish, site: Site) -> Object:
    probe = {"httpGet": {"path": "/healthz/ready", "port": STATUS_PORT}}
    return {
        "name": "waypointd",
        "image": site.image,
        "imagePullPolicy": site.pull_policy,
        "args": list(site.arguments),
        "env": list(_environment(wish, site)),
        "ports": [
            {"name": "mesh", "containerPort": HBONE_PORT},
            {"name": "status-port", "containerPort": STATUS_PORT},
            {"name": "http-metrics", "containerPort": METRICS_PORT},
        ],
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 2},
        "resources": {"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": path, "readOnly": True} for name, path in _mounts(site)],
    }


def _environment(wish: Wish, site: Site) -> Iterator[Object]:
    yield {"name": "WAYPOINT_SOURCE", "value": "kubernetes"}
    yield {"name": "WAYPOINT_GATEWAY", "value": wish.id}
    if site.ca:
        yield {"name": "WAYPOINT_CA", "value": site.ca}
    yield {"name": "ISTIO_META_CLUSTER_ID", "value": site.cluster_id}
    yield {"name": "WAYPOINT_DRAIN_DELAY", "value": str(DRAIN_DELAY_S)}
    yield {"name": "WAYPOINT_DRAIN_TIME", "value": str(DRAIN_TIME_S)}
    if site.redis:
        yield {"name": "WAYPOINT_REDIS", "value": site.redis}
    for key in sorted(REDIS_FILES.keys() & site.redis_secret.keys()):
        yield {"name": REDIS_FILES[key], "value": f"/etc/waypointd/redis/{key}"}
    for key in sorted(REDIS_NAMES.keys() & site.redis_secret.keys()):
        secret = {"name": f"{wish.name}-redis", "key": key}
        yield {"name": REDIS_NAMES[key], "valueFrom": {"secretKeyRef": secret}}
    # One worker for each CPU; a fraction counts as one.
    yield {"name": "WAYPOINT_WORKERS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
    for name, path in (("POD_NAME", "metadata.name"), ("POD_NAMESPACE", "metadata.namespace")):
        yield {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _mounts(site: Site) -> Iterator[tuple[str, str]]:
    yield "istio-token", "/var/run/secrets/tokens"
    yield "istiod-ca", "/var/run/secrets/istio"
    if site.redis_secret:
        yield "redis", "/etc/waypointd/redis"


def _volumes(wish: Wish, site: Site) -> Iterator[Object]:
    token = {"path": "istio-token", "audience": "istio-ca", "expirationSeconds": 43200}
    yield {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    # Optional: where no istiod has written it, waypointd says what is missing, and not a Pod that waits for a volume.
    yield {"name": "istiod-ca", "configMap": {"name": "istio-ca-root-cert", "optional": True}}
    if site.redis_secret:
        yield {"name": "redis", "secret": {"secretName": f"{wish.name}-redis", "defaultMode": 0o440}}
