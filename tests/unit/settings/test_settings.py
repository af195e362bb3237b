"""Settings: where they come from, which source wins, and how faults are told."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.settings import settings
from proxy.settings.kinds import masked_url
from proxy.settings.settings import SETTINGS, Settings, SettingsFault, load
from proxy.settings.unknown import unknown_in

ROOT = Path(__file__).parents[3]
BASE = {"manifests": ("m",)}


def faults_of(
    flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None, path: str | None = None
) -> tuple[str, ...]:
    with pytest.raises(SettingsFault) as caught:
        load(BASE | (flags or {}), environ or {}, path)
    return caught.value.faults


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "waypointd.yaml"
    path.write_text(text)
    return str(path)


def test_defaults_are_those_of_the_contract() -> None:
    found = load(BASE, {}, None)
    assert 1 <= found.workers <= len(os.sched_getaffinity(0))
    assert (found.bind, found.admin, found.status) == ("0.0.0.0", "127.0.0.1:15000", "0.0.0.0:15021")
    assert (found.redis, found.redis_prefix, found.statsd) == ("embedded", "waypoint", None)
    assert (found.access_log, found.access_log_format, found.log_level) == ("-", "text", "info")
    assert (found.drain_time, found.request_headers_timeout) == (20.0, 10.0)
    assert (found.idle_timeout, found.stream_idle_timeout) == (3600.0, 300.0)
    assert (found.tls_dir, found.trust_domain, found.trust_domain_aliases) == (None, None, ())
    assert found.protocol_detection_timeout == 5.0
    assert found.given == ("manifests",)


def test_a_flag_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "workers: 1\ndrain_time: 1\nredis_prefix: file\n")
    found = load(BASE | {"workers": "3"}, {"WAYPOINT_WORKERS": "2", "WAYPOINT_DRAIN_TIME": "2s"}, path)
    assert (found.workers, found.drain_time, found.redis_prefix) == (3, 2.0, "file")


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_every_setting_has_a_flag_an_environment_variable_and_a_key_in_the_example_file(key: str) -> None:
    example = (ROOT / "conf" / "waypointd.yaml").read_text()
    assert f"\n# {key}: " in example
    if key not in ("access_log", "manifests", "context"):  # any text will do for these
        with pytest.raises(SettingsFault, match=f"WAYPOINT_{key.upper()}: "):
            load(BASE, {f"WAYPOINT_{key.upper()}": "\0"}, None)


def test_the_example_file_shows_the_defaults(tmp_path: Path) -> None:
    example = (ROOT / "conf" / "waypointd.yaml").read_text()
    lines = [line[2:] for line in example.splitlines() if line.startswith("# ") and line[2:].split(":")[0] in SETTINGS]
    shown = yaml.safe_load("\n".join(lines))
    not_defaults = {
        "workers",
        "manifests",
        "gateway",
        "kubeconfig",
        "context",
        "locality",
        "tls_dir",
        "ca",
        "ca_token",
        "ca_root",
        "trust_domain",
        "trust_domain_aliases",
        "mesh_id",
        "metrics",
        "name_servers",
        "statsd",
        *(key for key in SETTINGS if key.startswith("redis_") and key != "redis_prefix"),
    }
    text = yaml.safe_dump({key: value for key, value in shown.items() if key not in not_defaults})
    found, default = load(BASE, {}, write(tmp_path, text)), load(BASE, {}, None)
    assert {key: getattr(found, key) for key in SETTINGS} == {key: getattr(default, key) for key in SETTINGS}


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        ("workers", "4", 4),
        ("drain_time", "500ms", 0.5),
        ("drain_time", "1.5", 1.5),
        ("idle_timeout", "1h", 3600.0),
        ("idle_timeout", "1h30m", 5400.0),  # N16: as DestinationRules have it
        ("idle_timeout", "1m1s500ms", 61.5),
        ("bind", "::1", "::1"),
        ("bind", "[::1]", "::1"),
        ("status", "[::]:15021", "[::]:15021"),
        ("metrics", "127.0.0.1:0", "127.0.0.1:0"),
        ("metrics", "off", None),
        ("admin", "localhost:0", "localhost:0"),
        ("redis", "unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis", "rediss://u:p@redis:6380/1", "rediss://u:p@redis:6380/1"),
        ("access_log_format", "JSON", "json"),
        ("log_level", "warn", "warning"),
        ("manifests", "a:b", ("a", "b")),
        ("gateway", "httpbin/httpbin-waypoint", "httpbin/httpbin-waypoint"),
        ("tls_dir", "/etc/certs", "/etc/certs"),
        ("ca", "istiod://istiod.istio-system.svc:15012", "istiod://istiod.istio-system.svc:15012"),
        ("ca", "istiod://istiod", "istiod://istiod:15012"),
        ("ca", "istiod://[fd00::1]", "istiod://[fd00::1]:15012"),
        ("ca", "istiod://[fd00::1]:15013", "istiod://[fd00::1]:15013"),
        ("ca_ttl", "1h", 3600.0),
        ("trust_domain", "td-1.example_com", "td-1.example_com"),
        ("trust_domain_aliases", "a.b", ("a.b",)),
        ("trust_domain_aliases", "a, b,a", ("a", "b")),
        ("trust_domain_aliases", ("a,b", "c"), ("a", "b", "c")),
        ("trust_domain_aliases", ["a", "b"], ("a", "b")),
        ("protocol_detection_timeout", "200ms", 0.2),
    ],
)
def test_values(key: str, value: Any, parsed: Any) -> None:
    assert getattr(load(BASE | {key: value}, {}, None), key) == parsed


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("workers", "0", "from 1 to 64"),
        ("workers", "1.5", "whole number"),
        ("drain_time", "-1", "at least 0 s"),
        ("drain_time", "soon", "such as 20, 20s or 500ms"),
        ("statsd_interval", "61", "from 1 to 60 s"),
        ("bind", "127.0.0.1:8000", "without a port"),
        ("status", "15021", "not HOST:PORT"),
        ("status", "::1:15021", "brackets"),
        ("status", "https://127.0.0.1:15021", "must be HOST:PORT, without https://"),
        ("drain_time", "1h30", "such as 20, 20s or 500ms"),
        ("drain_time", "h", "such as 20, 20s or 500ms"),
        ("status", "127.0.0.1:70000", "0 to 65535"),
        ("admin", "0.0.0.0:15000", "loopback"),
        ("statsd", "127.0.0.1:0", "may not be 0"),
        ("ca", "istiod.istio-system.svc:15012", "must be istiod://HOST:PORT"),
        ("ca", "istiod://a:15012/b", "must be istiod://HOST:PORT"),
        ("ca", "istiod://a:0", "may not be 0"),
        ("ca", "istiod://", "must be istiod://HOST:PORT"),
        ("ca", "istiod://a..b:1", "must be istiod://HOST:PORT"),
        ("ca", "istiod://.a:1", "must be istiod://HOST:PORT"),
        ("ca", f"istiod://{'a' * 64}:1", "must be istiod://HOST:PORT"),
        ("ca", "istiod://a:x", "HOST:PORT"),
        ("ca_ttl", "5s", "from 20 to"),
        ("cluster_id", "a b", "without blanks"),
        ("redis", "http://redis", "`embedded` or a URL"),
        ("redis", "redis://", "names no server"),
        ("redis", "redis://h:port", "number from 0 to 65535"),
        ("redis", "redis://a,b", "has several servers"),
        ("redis", "redis+sentinel://a,b", "names no service"),
        ("redis", "redis+cluster://a,b/1", "database 0 only"),
        ("redis", "redis://h/x", "the database must be a number"),
        ("redis", "redis://h?ssl=yes", "a parameter after"),
        ("redis", "unix://run/redis.sock", "three slashes"),
        ("redis", "redis://:a/b@h", "number from 0 to 65535"),
        ("redis_prefix", "way{point}", "letters, digits"),
        ("mesh_id", "a:b", "letters, digits"),
        ("trust_domain", "Cluster.local", "must be a trust domain, such as cluster.local"),
        ("trust_domain", "spiffe://cluster.local", "must be a trust domain"),
        ("trust_domain_aliases", "a,,b", "must be a text that is not empty"),
        ("trust_domain_aliases", ("a", "b/c"), "must be a trust domain"),
        ("trust_domain_aliases", ["a", 7], "7 must be a text"),
        ("protocol_detection_timeout", "0", "at least 0.1 s"),
        ("metrics", "15020", "HOST:PORT"),
        ("statsd_format", "graphite", "one of plain, dogstatsd"),
        ("access_log_format", "xml", "one of text, json"),
        ("gateway", "waypoint", "NAMESPACE/NAME"),
    ],
)
def test_faults_name_the_flag_and_the_remedy(key: str, value: Any, told: str) -> None:
    (fault,) = faults_of({key: value})
    assert fault.startswith(f"{settings.flag_name(key)}: ")
    assert told in fault


def test_metrics_may_be_off_in_a_file_too(tmp_path: Path) -> None:
    path = write(tmp_path, "manifests: [m]\nmetrics: off\n")
    assert settings.load({}, {}, path).metrics is None


def test_everything_wrong_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, "worker: 2\nadmin: 1\n\nlog_level: loud\nbind: ::1\nbind: ::1\n")
    faults = faults_of({"statsd": "x"}, {"WAYPOINT_WORKERS": "many"}, path)
    assert f"{path}:1: worker: no such setting; did you mean workers?" in faults
    assert f"{path}:2: admin: 1 must be a text that is not empty" in faults
    assert any(fault.startswith(f"{path}:4: log_level: ") for fault in faults)
    assert f"{path}:6: bind: set twice in this file" in faults
    assert any(fault.startswith("WAYPOINT_WORKERS: 'many'") for fault in faults)
    assert any(fault.startswith("--statsd: ") for fault in faults)


@pytest.mark.parametrize(
    ("text", "told"), [("- 1\n", "must be a map"), ("a: [", ":1: not YAML"), ("a: b: c", ":1: not YAML")]
)
def test_a_file_that_is_no_settings_file(tmp_path: Path, text: str, told: str) -> None:
    assert told in faults_of(path=write(tmp_path, text))[0]


def test_a_file_that_is_missing_or_empty(tmp_path: Path) -> None:
    assert "No such file" in faults_of(path=str(tmp_path / "none.yaml"))[0]
    assert load(BASE, {"WAYPOINT_CONFIG": write(tmp_path, "")}, None).given == ("manifests",)


def test_demo_binds_loopback_and_brings_its_manifests() -> None:
    found = load({"demo": True}, {}, None)
    assert (found.bind, found.status) == ("127.0.0.1", "127.0.0.1:15021")
    assert load({"demo": True, "bind": "0.0.0.0"}, {}, None).bind == "0.0.0.0"
    assert "brings its own manifests" in faults_of({"demo": True})[0]


def test_nothing_to_serve_is_bad_usage() -> None:
    with pytest.raises(SettingsFault, match="nothing to serve"):
        load({}, {}, None)


def test_settings_travel_as_a_message() -> None:
    sent = load(BASE | {"redis": "redis://:secret@h:1/0"}, {}, None)
    assert Settings.from_message(sent.as_message() | {"manifests": ["m"], "given": list(sent.given)}) == sent
    assert "secret" not in str(sent.shown())


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("embedded", "embedded"),
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:p@h:1/0", "redis://:***@h:1/0"),
        ("redis://u:p%40@h/0", "redis://u:***@h/0"),
        ("redis://:a/b#c?d@h", "redis://:***@h"),
        ("unix:///s?password=p&db=1", "unix:///s?password=***&db=1"),
    ],
)
def test_passwords_are_masked(url: str, masked: str) -> None:
    assert masked_url(url) == masked


def test_N25_a_variable_that_is_no_setting_is_told_with_what_was_meant() -> None:
    environ = {"WAYPOINT_REDIS_URL": "redis://r", "WAYPOINT_REDIS": "redis://r", "WAYPOINT_CONFIG": "x", "PATH": "/bin"}
    assert unknown_in(environ) == ["WAYPOINT_REDIS_URL: no such setting; did you mean WAYPOINT_REDIS?"]
    (told,) = unknown_in({"WAYPOINT_QQQ": "1"})
    assert told.startswith("WAYPOINT_QQQ: no such setting; the settings are WAYPOINT_WORKERS, ")


def test_N25_what_kubernetes_makes_of_a_service_called_waypoint_is_not_told() -> None:
    names = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_MESH", "PORT", "PORT_15008_TCP", "PORT_15008_TCP_ADDR"]
    assert unknown_in({f"WAYPOINT_{name}": "1" for name in names}) == []


def test_N25_several_manifests_in_the_environment_have_a_colon_between_them() -> None:
    assert load({}, {"WAYPOINT_MANIFESTS": "one:two"}, None).manifests == ("one", "two")


@pytest.mark.parametrize(
    ("flags", "environ", "prefix"),
    [
        ({}, {}, "waypoint"),
        ({"mesh_id": "east"}, {}, "waypoint:east"),
        ({}, {"ISTIO_META_CLUSTER_ID": "east"}, "waypoint:east"),
        ({}, {"ISTIO_META_MESH_ID": "m.local", "ISTIO_META_CLUSTER_ID": "e:a{t}"}, "waypoint:m.local/e-a-t-"),
        ({"mesh_id": "west"}, {"ISTIO_META_CLUSTER_ID": "east"}, "waypoint:west"),
        ({"redis_prefix": "mine"}, {"ISTIO_META_CLUSTER_ID": "east"}, "mine"),
        ({"redis_prefix": "mine", "mesh_id": "west"}, {}, "mine:west"),
    ],
)
def test_the_meshes_that_share_a_redis_are_told_apart(
    flags: dict[str, object], environ: dict[str, str], prefix: str
) -> None:
    assert load({**BASE, **flags}, environ, None).keys_prefix == prefix
