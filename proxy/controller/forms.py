"""From the mesh model to the form that workers read (proxy/ipc/snapshot.py). Pure."""

from collections.abc import Sequence

from proxy import addresses
from proxy.controller.access_form import access_forms, shadows_form
from proxy.controller.balance_form import balance_form
from proxy.controller.compact import Endpoints
from proxy.controller.pool_form import pool_form, retry_form
from proxy.controller.rate_limit_form import rate_limit_forms, route_limit_forms
from proxy.controller.route_form import routing_form
from proxy.controller.token_form import token_form
from proxy.ipc.snapshot import (
    ClusterForm,
    EndpointForm,
    FailurePercentageForm,
    OriginationForm,
    OutlierForm,
    ProfileForm,
    RoutesForm,
    SuccessRateForm,
)
from proxy.mesh.model import Cluster, Endpoint, Profile, Routes
from proxy.mesh.traffic.outlier import (
    DEFAULT_CONSECUTIVE_LOCAL_ORIGIN,
    FailurePercentage,
    OutlierDetection,
    SuccessRate,
)
from proxy.mesh.traffic.security import CONNECT, ProxyProtocolVersion

# Weights of 32768 endpoints add up to less than 2**31 (policy/balance/weighted.py).
HEAVIEST = 65535


_VERSIONS = {ProxyProtocolVersion.V1: 1, ProxyProtocolVersion.V2: 2}


def cluster_form(cluster: Cluster, slot: int, places: Sequence[int]) -> ClusterForm:
    """A cluster in `slot`, its endpoints in `places`."""
    profiles = dict.fromkeys(each.profile for each in cluster.endpoints if each.profile)
    index = {profile: position for position, profile in enumerate(profiles)}
    form = ClusterForm(
        name=cluster.name,
        slot=slot,
        envoy_name=cluster.envoy_name,
        authority=cluster.authority,
        connect_timeout_ms=cluster.connect_timeout_ms,
        abandoned_ms=cluster.abandoned_ms,
        closed=cluster.closed,
        outlier=_outlier_form(cluster.outlier) if cluster.outlier else None,
        balance=balance_form(cluster.policy.load_balancer, cluster.endpoints, cluster.spread),
        origination=_origination_form(cluster),
        proxy_protocol=_VERSIONS[cluster.policy.proxy_protocol.version] if cluster.policy.proxy_protocol else 0,
        pool=pool_form(cluster.policy),
        retry=retry_form(cluster.retries),
        destination_rule=cluster.destination_rule,
        protocol=cluster.protocol,
        http2=cluster.http2,
        profiles=[_profile_form(each) for each in profiles],
        endpoints=Endpoints(
            _endpoint_form(each, index[each.profile] if each.profile else -1, place)
            for each, place in zip(cluster.endpoints, places, strict=True)
        ),
    )
    if cluster.access:
        form["access"], form["access_tcp"] = access_forms(cluster.access)
    if cluster.shadows:
        form["shadows"] = shadows_form(cluster.shadows)
    if cluster.rate_limits:
        form["rate_limits"] = rate_limit_forms(cluster)
    if cluster.routing:
        form["routing"] = routing_form(cluster.routing)
    if limits := route_limit_forms(cluster):
        form["route_limits"] = limits
    if cluster.tokens:
        form["tokens"] = [token_form(each) for each in cluster.tokens]
    if (tunnel := cluster.policy.tunnel) and tunnel.protocol == CONNECT:
        form["tunnel"] = addresses.join(tunnel.target_host, tunnel.target_port)
    if cluster.names:
        form["names"] = {name: list(found) for name, found in cluster.names}
    return form


def _origination_form(cluster: Cluster) -> OriginationForm | None:
    tls = cluster.policy.tls
    credential = tls.credential if tls else None
    if tls is None or credential is None:
        return None
    host = cluster.authority.rpartition(":")[0]
    return OriginationForm(credential=credential.name, sni=tls.sni or host, names=list(tls.names(host)))


def _profile_form(profile: Profile) -> ProfileForm:
    return [
        profile.workload,
        profile.namespace,
        profile.app,
        profile.version,
        profile.canonical_service,
        profile.canonical_revision,
    ]


def _endpoint_form(endpoint: Endpoint, profile: int, slot: int) -> EndpointForm:
    return EndpointForm(
        ip=endpoint.ip,
        port=endpoint.port,
        workload=endpoint.workload,
        hbone=endpoint.hbone,
        identity=endpoint.identity,
        profile=profile,
        weight=min(endpoint.weight, HEAVIEST),
        slot=slot,
    )


def _outlier_form(outlier: OutlierDetection) -> OutlierForm:
    return OutlierForm(
        consecutive_5xx=outlier.consecutive_5xx,
        interval_ms=outlier.interval_ms,
        base_ejection_ms=outlier.base_ejection_ms,
        max_ejection_percent=outlier.max_ejection_percent,
        min_health_percent=outlier.min_health_percent,
        http_error_codes=list(outlier.http_error_codes),
        probe=outlier.probe,
        local_origin_quorum=outlier.local_origin_quorum,
        consecutive_gateway=outlier.consecutive_gateway,
        split_local_origin=outlier.split_local_origin,
        consecutive_local_origin=outlier.consecutive_local_origin or DEFAULT_CONSECUTIVE_LOCAL_ORIGIN,
        success_rate=_success_rate_form(outlier.success_rate) if outlier.success_rate else None,
        failure_percentage=_failure_percentage_form(outlier.failure_percentage) if outlier.failure_percentage else None,
    )


def _success_rate_form(rule: SuccessRate) -> SuccessRateForm:
    return SuccessRateForm(
        minimum_hosts=rule.minimum_hosts,
        request_volume=rule.request_volume,
        stdev_factor=rule.stdev_factor,
        enforcing=rule.enforcing,
    )


def _failure_percentage_form(rule: FailurePercentage) -> FailurePercentageForm:
    return FailurePercentageForm(
        threshold=rule.threshold,
        minimum_hosts=rule.minimum_hosts,
        request_volume=rule.request_volume,
        enforcing=rule.enforcing,
    )


def routes_form(routes: Routes) -> RoutesForm:
    """Hosts and authorities as the bytes that a request has."""
    return {cluster: [name.encode("latin-1") for name in names] for cluster, names in routes.items()}
