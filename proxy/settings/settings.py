"""Every setting, declared once: flag, environment variable, key of the file, default and help all come from here.

A flag wins over the environment (`WAYPOINT_<KEY>`), which wins over the file. Everything wrong is reported at once,
each fault with the place it came from. Reads only the file it is told to read; starts nothing.
"""

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from proxy.settings import between, cpus, inside, kinds
from proxy.settings.mesh_id import of_this_mesh, told_by_istio
from proxy.settings.setting import Setting
from proxy.settings.setting import declared as _setting
from state.server.access import Access
from state.server.access import faults as faults_of_access

ENVIRONMENT_PREFIX = "WAYPOINT_"
MAX_WORKERS = 64
"""As many rows the scoreboard has."""


class SettingsFault(Exception):
    """The settings cannot be used; `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user asked for, complete and checked. Times are seconds, addresses `host:port`, None means off."""

    workers: int = _setting(
        kinds.integer(1, MAX_WORKERS),
        lambda: min(cpus.usable(), MAX_WORKERS),
        "N",
        "How many worker processes serve traffic.",
        short="-w",
        shown_default="the CPUs this process may use",
    )
    source: str = _setting(
        kinds.choice("files", "kubernetes", api="kubernetes"),
        "files",
        "files|kubernetes",
        "Where objects come from: --manifests, or the Kubernetes API (and --manifests beside it, if given).",
        shown_default="kubernetes inside a cluster or with --kubeconfig, else files",
    )
    manifests: tuple[str, ...] = _setting(
        kinds.paths,
        (),
        "PATH",
        "A file, directory or pattern of Kubernetes manifests; may be given several times. For --check also pipes, -.",
        repeatable=True,
    )
    gateway: str | None = _setting(
        kinds.namespaced_name,
        None,
        "NS/NAME",
        "The Gateway to serve; needed with --source kubernetes, or if the manifests have several.",
        shown_default="the one that this Pod was deployed for",
    )
    kubeconfig: str | None = _setting(
        kinds.path,
        None,
        "FILE",
        "How to reach the Kubernetes API from outside a cluster; implies --source kubernetes.",
        shown_default="$KUBECONFIG or ~/.kube/config; inside a cluster the Pod's ServiceAccount",
    )
    context: str | None = _setting(
        kinds.text,
        None,
        "NAME",
        "The context of the kubeconfig; implies --source kubernetes.",
        shown_default="its current-context",
    )
    locality: str | None = _setting(
        kinds.locality,
        None,
        "REGION/ZONE/SUBZONE",
        "Where this replica runs, for failover by locality; the last parts may be left out.",
        shown_default="the Pod's label istio-locality, else the labels of its Node",
    )
    redis: str = _setting(
        kinds.redis_url,
        "embedded",
        "URL",
        "Where the fleet keeps its ejections: redis://, rediss:// (TLS), unix://, redis+sentinel://, redis+cluster://; "
        "`embedded` starts a private Valkey.",
    )
    redis_ca: str | None = _setting(
        kinds.path,
        None,
        "FILE",
        "Certificates of the authorities that sign the Redis servers', in PEM.",
        shown_default="the system's",
    )
    redis_cert: str | None = _setting(
        kinds.path, None, "FILE", "Our certificate for Redis servers that ask for one, in PEM; with --redis-key."
    )
    redis_key: str | None = _setting(kinds.path, None, "FILE", "The key of --redis-cert, in PEM, not encrypted.")
    redis_username: str | None = _setting(
        kinds.user_name, None, "NAME", "The ACL user to log in to Redis as, if the URL does not say."
    )
    redis_password_file: str | None = _setting(
        kinds.path,
        None,
        "FILE",
        "A file whose first line is the password for Redis; read again for each new connection, so it may be rotated.",
    )
    redis_sentinel_username: str | None = _setting(
        kinds.user_name, None, "NAME", "The ACL user to log in to the Sentinels as."
    )
    redis_sentinel_password_file: str | None = _setting(
        kinds.path, None, "FILE", "A file whose first line is the password for the Sentinels."
    )
    bind: str = _setting(
        kinds.host,
        "0.0.0.0",
        "ADDRESS",
        "The address listeners bind; their ports come from the Gateway.",
        shown_default="0.0.0.0, with --demo 127.0.0.1",
    )
    tls_dir: str | None = _setting(
        kinds.path,
        None,
        "DIR",
        "Certificates for HBONE: a directory of cert-chain.pem, key.pem, root-cert.pem; read again when they change.",
    )
    ca: str | None = _setting(
        kinds.istiod,
        None,
        "istiod://HOST:PORT",
        "Who signs certificates for HBONE, in the place of --tls-dir: asked again at half their life.",
        shown_default="where Istio mounts its token and root for a Pod: $CA_ADDR or istiod.istio-system.svc:15012",
    )
    ca_token: str | None = _setting(
        kinds.path,
        None,
        "FILE",
        "The ServiceAccount's token, of audience istio-ca, that --ca is shown; read again for each request.",
        shown_default=inside.CA_TOKEN,
    )
    ca_root: str | None = _setting(
        kinds.path,
        None,
        "FILE",
        "The roots that the certificate of --ca itself is verified against, in PEM; followed when they change.",
        shown_default=inside.CA_ROOT,
    )
    ca_ttl: float = _setting(
        kinds.seconds(20, 90 * 86400), 86400.0, "SECONDS", "How long certificates of --ca shall be valid."
    )
    cluster_id: str = _setting(
        kinds.visible,
        "Kubernetes",
        "TEXT",
        "What istiod calls this cluster.",
        shown_default="$ISTIO_META_CLUSTER_ID or Kubernetes",
    )
    trust_domain: str | None = _setting(
        kinds.trust_domain,
        None,
        "TEXT",
        "The trust domain of the mesh, whose identities are accepted.",
        shown_default="that of our own certificate",
    )
    trust_domain_aliases: tuple[str, ...] = _setting(
        kinds.trust_domains,
        (),
        "TEXT",
        "Other trust domains that are accepted, separated by commas; may be given several times.",
        repeatable=True,
    )
    redis_prefix: str = _setting(
        kinds.key_prefix, "waypoint", "TEXT", "First part of every Redis key; keeps two meshes apart."
    )
    mesh_id: str | None = _setting(
        kinds.mesh_id,
        None,
        "TEXT",
        "Which mesh this is, where several share a Redis: follows the prefix in every key.",
        shown_default="what Istio tells its pods (ISTIO_META_MESH_ID/ISTIO_META_CLUSTER_ID), unless a prefix is given",
    )
    name_servers: tuple[str, ...] = _setting(
        kinds.name_servers, (), "IP[:PORT]", "Whom to ask for host names.", repeatable=True, shown_default="resolv.conf"
    )
    admin: str = _setting(
        kinds.loopback_port,
        "127.0.0.1:15000",
        "HOST:PORT",
        "Admin pages (/server_info, /config_dump, /clusters, /certs), loopback only.",
    )
    status: str = _setting(
        kinds.host_port,
        "0.0.0.0:15021",
        "HOST:PORT",
        "Readiness (/healthz/ready).",
        shown_default="0.0.0.0:15021, with --demo 127.0.0.1:15021",
    )
    metrics: str | None = _setting(
        kinds.host_port_or_off, "0.0.0.0:15020", "HOST:PORT|off", "Metrics for Prometheus; off: none, and none counted."
    )
    statsd: str | None = _setting(kinds.peer, None, "HOST:PORT", "Push metrics to a statsd server over UDP.")
    statsd_format: str = _setting(kinds.choice("plain", "dogstatsd"), "plain", "plain|dogstatsd", "How it names them.")
    statsd_interval: float = _setting(kinds.seconds(1, 60), 5.0, "SECONDS", "How often metrics are pushed.")
    access_log: str = _setting(kinds.text, "-", "PATH", "The access log; - is standard output.")
    access_log_format: str = _setting(
        kinds.choice("text", "json"), "text", "text|json", "Istio's text line, or one JSON object a line."
    )
    drain_delay: float = _setting(
        kinds.seconds(0),
        5.0,
        "SECONDS",
        "How long to serve on after TERM, new connections too, until clients know; 0 with a preStop hook that waits.",
        shown_default="5, with --demo 0",
    )
    drain_time: float = _setting(
        kinds.seconds(0), 20.0, "SECONDS", "How long requests in flight may take to finish, after --drain-delay."
    )
    log_level: str = _setting(
        kinds.choice("debug", "info", "warning", "error", warn="warning"),
        "info",
        "LEVEL",
        "The least important message to log: debug, info, warning, error.",
    )
    request_headers_timeout: float = _setting(
        kinds.seconds(0),
        10.0,
        "SECONDS",
        "How long a client may take to send a request head, or to shake hands in TLS.",
    )
    idle_timeout: float = _setting(
        kinds.seconds(0),
        3600.0,
        "SECONDS",
        "How long a connection may stay open without a request, or a tunnel without a byte.",
    )
    stream_idle_timeout: float = _setting(
        kinds.seconds(0), 300.0, "SECONDS", "How long a request may go without a byte either way."
    )
    protocol_detection_timeout: float = _setting(
        kinds.seconds(0.1),
        5.0,
        "SECONDS",
        "How long a port of no declared protocol waits for a client's first bytes before it is taken for TCP.",
    )
    path_normalization: str = _setting(
        kinds.choice("base", "merge_slashes", "decode_and_merge_slashes", "none"),
        "base",
        "MODE",
        "How paths are normalised for routes and rules: base, merge_slashes, decode_and_merge_slashes, none.",
    )
    vanished_manifests_grace: float = _setting(
        kinds.seconds(0),
        30.0,
        "SECONDS",
        "How long to go on with what there was when the manifests no longer hold the Gateway; HUP believes it at once.",
    )
    demo: bool = _setting(
        kinds.boolean, False, "", "Start three sample endpoints and a Gateway on 127.0.0.1:8000, and say what to type."
    )
    given: tuple[str, ...] = ()
    """Keys that somebody set; the others have their default."""

    def as_message(self) -> dict[str, Any]:
        """Plain values for the `settings` message to a child."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_message(cls, values: Mapping[str, Any]) -> Self:
        """The settings the arbiter sent."""
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**plain)

    @property
    def in_mesh(self) -> bool:
        """Whether we are to have a certificate of the mesh."""
        return self.tls_dir is not None or self.ca is not None

    def access(self, redis: str = "") -> Access:
        """How to reach the store at `redis`: that of the settings, or the embedded one once it has an address."""
        values = {name: getattr(self, name) for name in Access.__slots__}
        return Access(**values | ({"redis": redis} if redis else {}))

    @property
    def keys_prefix(self) -> str:
        """The first part of every Redis key, with the mesh's id."""
        return of_this_mesh(self.redis_prefix, self.mesh_id)

    def shown(self) -> dict[str, Any]:
        """As `as_message`, fit for the admin pages: passwords hidden."""
        return self.as_message() | {"redis": kinds.masked_url(self.redis)}


SETTINGS: dict[str, Setting] = {
    f.name: f.metadata["setting"] for f in dataclasses.fields(Settings) if "setting" in f.metadata
}


def load(flags: Mapping[str, object], environ: Mapping[str, str], path: str | None) -> Settings:
    """Settings from the command line, the environment and the file at `path`. Raises SettingsFault with all faults."""
    faults: list[str] = []
    path = path or environ.get(ENVIRONMENT_PREFIX + "CONFIG")
    sources = [_of_file(path, faults) if path else {}, _of_environment(environ), _of_flags(flags)]
    values: dict[str, Any] = {}
    for source in sources:  # later ones win, but every one is checked
        for key, (origin, raw) in source.items():
            try:
                values[key] = SETTINGS[key].kind(raw)
            except ValueError as fault:
                faults.append(f"{origin}: {fault}")
    if not faults:
        _settle(values, faults, environ)
        if "redis_prefix" not in values:
            values.setdefault("mesh_id", told_by_istio(environ))
    if faults:
        raise SettingsFault(faults)
    return Settings(**values)


def _settle(values: dict[str, Any], faults: list[str], environ: Mapping[str, str]) -> None:
    """Rules between settings, once each is right by itself."""
    values["given"] = tuple(sorted(values))
    access = Access(**{"redis": "embedded"} | {name: values[name] for name in Access.__slots__ if name in values})
    faults.extend(f"{flag_name(name)} {text}" for name, text in faults_of_access(access))
    faults.extend(between.settle(values, environ))


Source = dict[str, tuple[str, object]]  # key -> (where it was set, raw value)


def _of_flags(flags: Mapping[str, object]) -> Source:
    return {key: (flag_name(key), value) for key, value in flags.items() if value not in (None, (), False)}


def _of_environment(environ: Mapping[str, str]) -> Source:
    names = {key: variable(key) for key in SETTINGS}
    return {key: (name, environ[name]) for key, name in names.items() if environ.get(name)}


def variable(key: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT_PREFIX + key.upper()


def flag_name(key: str) -> str:
    """The long option of a setting."""
    return "--" + key.replace("_", "-")


def _of_file(path: str, faults: list[str]) -> Source:
    try:
        loader = yaml.SafeLoader(Path(path).read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ValueError("must be a map of settings, such as `workers: 2`")
        return _of_mapping(path, node, loader, faults)
    except (OSError, UnicodeDecodeError, ValueError) as fault:
        faults.append(f"{path}: {getattr(fault, 'strerror', None) or fault}")
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        faults.append(
            f"{path}{f':{mark.line + 1}' if mark else ''}: not YAML: {getattr(fault, 'problem', None) or fault}"
        )
    return {}


def _of_mapping(path: str, node: yaml.MappingNode, loader: yaml.SafeLoader, faults: list[str]) -> Source:
    found: Source = {}
    for key_node, value_node in node.value:
        origin = f"{path}:{key_node.start_mark.line + 1}"
        key = str(key_node.value)
        if key not in SETTINGS:
            faults.append(f"{origin}: {key}: no such setting{meant(key)}")
        elif key in found:
            faults.append(f"{origin}: {key}: set twice in this file")
        else:
            value = loader.construct_object(value_node, deep=True)
            if value is not None:
                found[key] = (f"{origin}: {key}", value)
    return found


def meant(key: str, shown: Callable[[str], str] = str) -> str:
    """What to say of a key that is no setting: which one it is like."""
    key = key.replace("-", "_").lower()
    bare = key.removesuffix("_url").removesuffix("_address")  # what others call redis or admin
    close = [bare] if bare in SETTINGS else difflib.get_close_matches(key, SETTINGS, n=1)
    return f"; did you mean {shown(close[0])}?" if close else f"; the settings are {', '.join(map(shown, SETTINGS))}"
