"""hbone-get inside a Pod of the mesh: who we are, without files."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509

from proxy.ctl.hbone.hbone_get import hbone_get
from proxy.ctl.hbone.own import LIFE_S, own_authority, signed_by
from proxy.ctl.hbone.tunnel import Failed
from proxy.settings import inside
from tests.istiod_rig import Istiod, mount, running


@pytest.fixture
def istiod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Istiod]:
    with running() as istiod:
        token, root = mount(tmp_path, istiod.ca.pem)
        monkeypatch.setattr(inside, "CA_TOKEN", str(token))
        monkeypatch.setattr(inside, "CA_ROOT", str(root))
        yield istiod


def test_a_certificate_for_one_request_in_memory_alone(istiod: Istiod, tmp_path: Path) -> None:
    authority = own_authority({"CA_ADDR": f"127.0.0.1:{istiod.port}", "ISTIO_META_CLUSTER_ID": "east"})
    assert authority
    before = set(tmp_path.rglob("*"))
    ours = signed_by(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(ours.chain, ours.key)
    context.load_verify_locations(cafile=ours.roots)
    assert context.cert_store_stats()["x509_ca"] == 1
    assert x509.load_pem_x509_certificate(ours.chain.read_bytes()).issuer == istiod.ca.certificate.subject
    assert (istiod.asked[0].seconds, istiod.asked[0].metadata["clusterid"]) == (LIFE_S, "east")
    assert set(tmp_path.rglob("*")) == before
    for path in (ours.chain, ours.key, ours.roots):
        os.close(int(path.name))


def test_without_istiod_it_says_why(istiod: Istiod) -> None:
    istiod.stop()
    authority = own_authority({"CA_ADDR": f"127.0.0.1:{istiod.port}"})
    assert authority
    with pytest.raises(Failed, match=f"certificate: istiod://127.0.0.1:{istiod.port}: no connection to it") as caught:
        signed_by(authority)
    assert "istio-token" in caught.value.look_at


def test_outside_of_a_pod_files_are_wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inside, "CA_TOKEN", str(tmp_path / "none"))
    assert own_authority({"CA_ADDR": "istiod:15012"}) is None
    told = CliRunner().invoke(hbone_get, ["127.0.0.1", "a:80"])
    assert told.exit_code == 2 and "who are we? give --tls-dir DIR" in told.output


def test_a_ca_address_that_is_none_is_bad_usage(istiod: Istiod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CA_ADDR", "nonsense:x")
    told = CliRunner().invoke(hbone_get, ["127.0.0.1", "a:80"])
    assert told.exit_code == 2 and "CA_ADDR: " in told.output
