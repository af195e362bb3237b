"""What TLS to endpoints is made with: what is wrong with a set, told by the field that names it; and what is kept."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.identity import credentials
from proxy.identity.certificates import Unusable
from proxy.identity.credential_watch import CredentialWatch
from proxy.mesh.traffic.security import ClientTls, Credential, TlsMode
from tests.certificates import Authority, pem_of_key
from tests.rig import wait_until

CA, OTHERS = Authority(), Authority()
OURS, EXPIRED = CA.leaf("", names=["a"]), CA.leaf("", names=["a"], starts=-7200, lasts=-3600)
PLAIN = {"tls.crt": OURS.chain, "tls.key": OURS.key, "ca.crt": CA.pem}


def credential(**fields: Any) -> Credential:
    found = ClientTls(**{"mode": TlsMode.MUTUAL} | fields).credential
    assert found
    return found


FILES = credential(client_certificate="chain", private_key="key", ca_certificates="roots", ca_crl="crl")
SECRET = credential(credential_name="s")
GOOD = {"chain": OURS.chain, "key": OURS.key, "roots": CA.pem, "crl": CA.revoked()}


def problems(credential: Credential, files: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> list[str]:
    contents = credentials.read(credential, secrets or {}, lambda path: files.get(path, "no such file"))
    with pytest.raises(Unusable) as fault:
        credentials.check(credential, contents, time.time())
    return list(fault.value.problems)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"chain": None}, "clientCertificate: chain: no such file"),
        ({"chain": b"nonsense"}, "clientCertificate: chain: holds no certificate in PEM form, or a broken one"),
        ({"key": b"nonsense"}, "privateKey: key: holds no private key in PEM form, or a broken one"),
        ({"key": OTHERS.leaf("", names=["a"]).key}, "privateKey: key: is not the key of the certificate"),
        ({"chain": EXPIRED.chain, "key": EXPIRED.key}, "clientCertificate: chain: expired at "),
        ({"roots": b"-----BEGIN CERTIFICATE-----\n"}, "caCertificates: roots: holds no certificate in PEM form"),
        ({"crl": b"nonsense"}, "caCrl: crl: holds no list of revoked certificates (CRL) in PEM form"),
        ({"crl": b"-----BEGIN X509 CRL-----\nbroken"}, "caCrl: crl"),
    ],
)
def test_files(changed: dict[str, bytes | None], said: str) -> None:
    files = {name: value for name, value in (GOOD | changed).items() if value is not None}
    found = problems(FILES, files)
    assert any(said in each for each in found), found
    assert not any(OURS.key.decode().splitlines()[1] in each for each in found)


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({}, "credentialName: s: there is no such Secret beside the Gateway"),
        ({"s": {}}, "credentialName: s: has neither tls.crt nor cert"),
        ({"s": PLAIN | {"tls.key": b""}}, "credentialName: s: has neither tls.key nor key"),
        ({"s": {"tls.crt": OURS.chain, "tls.key": OURS.key}}, "credentialName: s: has neither ca.crt nor cacert"),
        ({"s": PLAIN, "s-cacert": {}}, "credentialName: s-cacert: has neither ca.crt nor cacert"),
        ({"s": {"cert": OURS.chain, "tls.key": OURS.key, "ca.crt": CA.pem}}, "has neither tls.crt nor cert"),
    ],
)
def test_secrets(secrets: dict[str, dict[str, bytes]], said: str) -> None:
    found = problems(SECRET, {}, secrets)
    assert any(said in each for each in found), found


@pytest.mark.parametrize(
    ("data", "roots"),
    [
        ({"s": PLAIN}, CA.pem),
        ({"s": {"cert": OURS.chain, "key": OURS.key, "cacert": CA.pem}}, CA.pem),
        ({"s": PLAIN, "s-cacert": {"cacert": OTHERS.pem}}, OTHERS.pem),
    ],
)
def test_good_secrets(data: dict[str, dict[str, bytes]], roots: bytes) -> None:
    form = credentials.check(SECRET, credentials.read(SECRET, data), 0)
    assert (form["chain"], form["key"], form["roots"], form["problem"]) == (OURS.chain, OURS.key, roots, "")


def test_simple_takes_the_cas_alone() -> None:
    simple = credential(mode=TlsMode.SIMPLE, credential_name="s")
    form = credentials.check(simple, credentials.read(simple, {"s": {"ca.crt": CA.pem}}), 0)
    assert (form["chain"], form["key"], form["roots"]) == (b"", b"", CA.pem)


def test_nothing_that_is_shown_is_secret() -> None:
    form = credentials.check(SECRET, credentials.read(SECRET, {"s": PLAIN}), 0)
    shown = str(credentials.shown(form))
    assert "expiration_time" in shown and "PRIVATE" not in shown and "BEGIN" not in shown


class TestWatch:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "ca.pem"

    @pytest.fixture
    def watch(self, path: Path) -> CredentialWatch:
        made = CredentialWatch()
        wanted = credential(mode=TlsMode.SIMPLE, ca_certificates=str(path))
        made.want({wanted.name: (wanted, "DestinationRule a/b: spec.trafficPolicy.tls")}, {})
        return made

    def test_missing_then_there(self, watch: CredentialWatch, path: Path) -> None:
        assert watch.refresh()
        (form,) = watch.forms.values()
        assert form["problem"] == f"caCertificates: {path}: no such file"
        ((_, said),) = watch.news()
        assert said == (
            f"DestinationRule a/b: spec.trafficPolicy.tls.caCertificates: {path}: no such file; "
            "what needs it gets 503 until that is mended"
        )
        assert not watch.refresh(), "told once"
        path.write_bytes(CA.pem)
        wait_until(watch.refresh, 3, "seen")
        assert next(iter(watch.forms.values()))["roots"] == CA.pem

    def test_what_is_half_written_is_believed_at_second_sight_and_the_last_good_one_kept(
        self, watch: CredentialWatch, path: Path
    ) -> None:
        path.write_bytes(CA.pem)
        watch.refresh()
        before = dict(watch.forms)
        path.write_bytes(b"half")
        assert not watch.refresh()
        assert watch.refresh(), "told"
        assert watch.forms == before
        assert [said.endswith("the last good ones stay in force") for _, said in watch.news()] == [True]

    def test_a_new_controller_goes_on_with_what_was_in_force(self, watch: CredentialWatch, path: Path) -> None:
        path.write_bytes(CA.pem)
        watch.refresh()
        path.unlink()
        later = CredentialWatch()
        later.adopt(watch.forms)
        assert not later.refresh() and later.forms == watch.forms, "nothing is known of what is needed"
        wanted = credential(mode=TlsMode.SIMPLE, ca_certificates=str(path))
        later.want({wanted.name: (wanted, "")}, {})
        later.refresh()
        later.refresh()
        assert later.forms == watch.forms

    def test_what_nobody_needs_is_let_go(self, watch: CredentialWatch, path: Path) -> None:
        path.write_bytes(pem_of_key(CA.key))
        watch.refresh()
        watch.want({}, {})
        watch.refresh()
        assert watch.forms == {} and watch.problems == {}
