"""What a Pod is told of itself, and which source follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.settings import inside
from proxy.settings.settings import SettingsFault, load

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "POD_NAMESPACE": "shop"}


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Pod as istiod's template for waypoints makes it."""
    token, labels = tmp_path / "token", tmp_path / "labels"
    token.write_text("t")
    labels.write_text('app="a \\"b\\""\ngateway.networking.k8s.io/gateway-name="way"\n')
    monkeypatch.setattr(inside.in_cluster, "__defaults__", (token,))
    monkeypatch.setattr(inside.own_gateway, "__defaults__", (labels,))
    return labels


def test_labels_as_the_downward_api_writes_them(pod: Path) -> None:
    assert inside.read_labels(pod.read_text())["app"] == 'a "b"'


def test_inside_a_cluster_it_is_the_source_and_the_gateway_is_known(pod: Path) -> None:
    loaded = load({}, POD, None)
    assert (loaded.source, loaded.gateway) == ("kubernetes", "shop/way")
    assert load({"gateway": "a/b"}, POD, None).gateway == "a/b"


def test_manifests_that_are_given_are_what_is_meant(pod: Path) -> None:
    loaded = load({"manifests": ("m.yaml",)}, POD, None)
    assert (loaded.source, loaded.gateway) == ("files", None)
    both = load({"manifests": ("m.yaml",), "source": "kubernetes"}, POD, None)
    assert (both.source, both.manifests) == ("kubernetes", ("m.yaml",))


def test_a_kubeconfig_implies_the_source() -> None:
    loaded = load({"kubeconfig": "k", "gateway": "a/b"}, {}, None)
    assert loaded.source == "kubernetes"
    assert load({"context": "dev", "gateway": "a/b"}, {}, None).source == "kubernetes"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"source": "kubernetes"}, "say which Gateway to serve with --gateway NAMESPACE/NAME"),
        ({"source": "files", "kubeconfig": "k", "manifests": ("m",)}, "are for --source kubernetes"),
        ({}, "nothing to serve: give --manifests PATH"),
    ],
)
def test_what_does_not_fit_together(flags: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsFault, match=said):
        load(flags, {}, None)


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What istiod's template mounts for its CA."""
    for name, path in (("CA_TOKEN", tmp_path / "istio-token"), ("CA_ROOT", tmp_path / "root-cert.pem")):
        path.write_text("x")
        monkeypatch.setattr(inside, name, str(path))
    return tmp_path


MANIFESTS: dict[str, object] = {"manifests": ("m",)}


def test_where_a_token_and_a_root_are_mounted_istiod_is_the_ca(mounted: Path) -> None:
    assert load(MANIFESTS, {}, None).ca == "istiod://istiod.istio-system.svc:15012"
    environ = {"CA_ADDR": "istiod-canary.istio-system.svc:15012", "ISTIO_META_CLUSTER_ID": "east"}
    found = load(MANIFESTS, environ, None)
    assert (found.ca, found.cluster_id, found.in_mesh) == (
        "istiod://istiod-canary.istio-system.svc:15012",
        "east",
        True,
    )
    (mounted / "root-cert.pem").unlink()
    found = load(MANIFESTS, environ, None)
    assert (found.ca, found.in_mesh) == (None, False)


def test_what_is_given_is_what_counts(mounted: Path) -> None:
    assert load(MANIFESTS | {"tls_dir": "/tls"}, {}, None).ca is None
    found = load(MANIFESTS | {"ca": "istiod://10.0.0.1", "cluster_id": "west"}, {"ISTIO_META_CLUSTER_ID": "east"}, None)
    assert (found.ca, found.cluster_id) == ("istiod://10.0.0.1:15012", "west")
    elsewhere = MANIFESTS | {"ca_token": str(mounted / "none")}
    assert load(elsewhere, {}, None).ca is None


@pytest.mark.parametrize(
    ("flags", "environ", "said"),
    [
        ({"ca": "istiod://a:1", "tls_dir": "/tls"}, {}, "--ca and --tls-dir: certificates come from one of them"),
        ({}, {"CA_ADDR": "nonsense:x"}, "CA_ADDR: "),
    ],
)
def test_which_ca_it_is_has_to_be_plain(
    mounted: Path, flags: dict[str, object], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsFault, match=said):
        load(MANIFESTS | flags, environ, None)


def test_the_demo_has_its_own(mounted: Path) -> None:
    assert load({"demo": True}, {}, None).ca is None
    with pytest.raises(SettingsFault, match="--demo brings its own certificates: leave out --demo or --ca"):
        load({"demo": True, "ca": "istiod://a:1"}, {}, None)
