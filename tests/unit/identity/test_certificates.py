"""--tls-dir: what is a usable set, what is wrong with others, how it is followed, and that keys stay hidden."""

import logging
import os
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from proxy.identity import certificates, checking
from proxy.identity.certificates import Unusable, faults_of
from proxy.identity.files import Files
from proxy.identity.watch import REMIND_S, CertificateWatch
from proxy.mesh.model import Listener
from proxy.wire.tls.mesh import MeshTls
from tests.certificates import CLIENT, SERVER, WAYPOINT, Authority, Leaf, new_key, pem_of_key, self_signed

CA = Authority()


def check(directory: Path) -> certificates.Certificates:
    return checking.check(str(directory), certificates.read(str(directory)), time.time())


def problems(directory: Path) -> list[str]:
    """What is wrong, with the directory left out."""
    with pytest.raises(Unusable) as caught:
        check(directory)
    assert "PRIVATE" not in str(caught.value)
    return [each.removeprefix(f"{directory}/") for each in caught.value.problems]


# -- a set ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leaf",
    [
        CA.leaf(),
        CA.leaf(kind="rsa"),
        CA.leaf(authority_key=False),
        CA.leaf(usages=[]),
        Authority(parent=Authority(parent=CA)).leaf(),
        CA.leaf(roots=Authority(name="new.example").pem + CA.pem),
    ],
    ids=["ec", "rsa", "no authority key identifier", "for anything", "intermediates", "two roots"],
)
def test_a_usable_set(tmp_path: Path, leaf: Leaf) -> None:
    found = check(leaf.write(tmp_path))
    assert found.identity == WAYPOINT
    assert found.trust_domain == "cluster.local"
    assert found.serial == f"{leaf.certificate.serial_number:x}"
    assert found.not_after == leaf.certificate.not_valid_after_utc.timestamp()
    assert MeshTls(**found.form(["cluster.local"])).identity == WAYPOINT
    assert "PRIVATE" not in repr(found)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    CA.leaf().write(tmp_path)
    (tmp_path / "key.pem").unlink()
    (tmp_path / "root-cert.pem").unlink()
    (tmp_path / "root-cert.pem").mkdir()
    assert problems(tmp_path) == ["key.pem: no such file", "root-cert.pem: cannot be read: Is a directory"]
    with pytest.raises(Unusable, match="/none: no such directory"):
        check(tmp_path / "none")


def encrypted_key() -> bytes:
    how = serialization.BestAvailableEncryption(b"secret")
    pem: bytes = new_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return pem


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("key.pem", b"", "holds no private key in PEM form"),
        ("key.pem", CA.leaf().chain, "holds no private key, or a broken one"),
        ("key.pem", CA.leaf().key[:80], "holds no private key, or a broken one"),
        ("key.pem", CA.leaf().key, "is not the key of the certificate in cert-chain.pem"),
        ("key.pem", pem_of_key(ed25519.Ed25519PrivateKey.generate()), "the key is neither EC nor RSA"),
        ("key.pem", encrypted_key(), "the key is encrypted; it has to be readable without a password"),
        ("cert-chain.pem", b"\x30\x82", "holds no certificate in PEM form"),
        ("cert-chain.pem", CA.leaf().key, "holds something that is no certificate, or a broken one"),
        ("root-cert.pem", b"x" * (certificates.LARGEST_FILE + 1), "is larger than 1024 KiB"),
    ],
    ids=["none", "certificate", "cut", "another's", "ed25519", "encrypted", "no text", "key", "large"],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, file: str, content: bytes, problem: str) -> None:
    CA.leaf().write(tmp_path)
    (tmp_path / file).write_bytes(content)
    assert problems(tmp_path) == [f"{file}: {problem}"]


@pytest.mark.parametrize(
    ("leaf", "problem"),
    [
        (CA.leaf(starts=-7200, lasts=-3600), "expired at 20"),
        (CA.leaf(starts=3600), "not valid before 20"),
        (CA.leaf(authority=True), "it is a CA's (basic constraints CA:TRUE), not a workload's"),
        (CA.leaf(signs=["key_cert_sign"]), "its key usage has keyCertSign, which a workload's may not"),
        (CA.leaf(signs=["crl_sign"]), "its key usage has cRLSign, which a workload's may not"),
        (CA.leaf(lacks=["digital_signature"]), "its key usage lacks digitalSignature, which TLS 1.3 signs with"),
        (CA.leaf("spiffe://Cluster.local/ns/a/sa/b"), "(it has spiffe://Cluster.local/ns/a/sa/b)"),
        (CA.leaf(usages=[SERVER]), "its extended key usage lacks client authentication"),
        (CA.leaf(usages=[CLIENT]), "its extended key usage lacks server authentication"),
        (
            CA.leaf(""),
            "certificate has no SPIFFE URI such as spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT (it has no URI)",
        ),
        (CA.leaf("spiffe://td/ns/a"), "(it has spiffe://td/ns/a)"),
        (CA.leaf(WAYPOINT, WAYPOINT + "2"), "certificate has no SPIFFE URI"),
        (
            CA.leaf(roots=Authority().pem),
            "does not verify against root-cert.pem: certificate refused: unable to get local",
        ),
        (self_signed(), ""),
    ],
)
def test_a_leaf_that_peers_would_refuse(tmp_path: Path, leaf: Leaf, problem: str) -> None:
    if leaf.chain == leaf.roots:
        leaf.roots, problem = CA.pem, "does not verify against root-cert.pem: certificate refused: self-signed"
    (found,) = problems(leaf.write(tmp_path))
    assert found.startswith("cert-chain.pem: ")
    assert problem in found


def test_a_missing_intermediate_is_noticed(tmp_path: Path) -> None:
    leaf = Authority(parent=CA).leaf()
    leaf.chain = leaf.certificate.public_bytes(serialization.Encoding.PEM)
    assert "unable to get local issuer certificate" in problems(leaf.write(tmp_path))[0]


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    leaf = CA.leaf("", usages=[SERVER], starts=-7200, lasts=-3600)
    leaf.key = CA.leaf().key
    assert len(problems(leaf.write(tmp_path))) == 4


# -- listeners --------------------------------------------------------------------------------------------------------


def test_faults_name_the_listeners_that_need_certificates() -> None:
    mesh, plain = Listener("mesh", 15008, "HBONE", {}), Listener("http", 8000, "HTTP", {})
    told = ('listener "mesh" port 15008: HBONE needs certificates: --tls-dir is not set',)
    assert faults_of([plain, mesh], None, ["--tls-dir is not set"]) == told
    assert faults_of([plain], None, ["--tls-dir is not set"]) == ()
    assert faults_of([plain], "--tls-dir", ["/tls: no such directory"]) == ("--tls-dir: /tls: no such directory",)
    assert faults_of([plain, mesh], "/tls", []) == ()


# -- following --------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def told(watch: CertificateWatch) -> list[str]:
    return [text for _, text in watch.news()]


def test_new_certificates_are_taken_at_once(tmp_path: Path) -> None:
    first, second = CA.leaf(), CA.leaf()
    watch = CertificateWatch(Files(str(first.write(tmp_path))))
    assert watch.refresh()
    assert watch.form() == first.tls()
    assert "PRIVATE" not in repr(told(watch)) and WAYPOINT in told(watch)[0]
    assert not watch.refresh()
    second.write(tmp_path)
    assert watch.refresh()
    assert watch.form() == second.tls()


def test_swapped_symlinks_are_a_change(tmp_path: Path) -> None:
    """As the kubelet updates a mounted Secret."""
    for name in ("one", "two"):
        CA.leaf().write(tmp_path / name)
    (tmp_path / "..data").symlink_to("one")
    served = tmp_path / "tls"
    served.mkdir()
    for name in certificates.FILES:
        (served / name).symlink_to(f"../..data/{name}")
    watch = CertificateWatch(Files(str(served)))
    assert watch.refresh()
    (tmp_path / "..new").symlink_to("two")
    os.replace(tmp_path / "..new", tmp_path / "..data")
    assert watch.refresh()
    assert watch.current and watch.current.chain == (tmp_path / "two" / "cert-chain.pem").read_bytes()


def test_a_bad_change_keeps_the_good_ones_and_is_told_once(tmp_path: Path) -> None:
    good = CA.leaf()
    watch = CertificateWatch(Files(str(good.write(tmp_path))))
    watch.refresh()
    (tmp_path / "key.pem").write_bytes(CA.leaf().key)
    assert not watch.refresh(), "one file may be written before the other"
    assert watch.refresh()
    assert "key.pem: is not the key of" in told(watch)[0] and "keeping the certificate" in told(watch)[1]
    assert watch.form() == good.tls()
    assert not watch.refresh()
    good.write(tmp_path)
    assert watch.refresh(), "mended"
    assert told(watch)[0].startswith("certificate of ")


def test_files_written_one_after_the_other_are_no_fault(tmp_path: Path) -> None:
    watch = CertificateWatch(Files(str(CA.leaf().write(tmp_path))))
    watch.refresh()
    new = CA.leaf()
    (tmp_path / "key.pem").write_bytes(new.key)
    assert not watch.refresh()
    (tmp_path / "cert-chain.pem").write_bytes(new.chain)
    assert watch.refresh()
    assert watch.problems == () and watch.form() == new.tls()


def test_what_is_missing_at_the_start_is_told_and_taken_when_it_comes(tmp_path: Path) -> None:
    watch = CertificateWatch(Files(str(tmp_path / "tls")))
    assert watch.refresh() and watch.form() is None
    assert watch.problems == (f"{tmp_path}/tls: no such directory",)
    CA.leaf().write(tmp_path / "tls")
    assert watch.refresh() and watch.form() is not None and not watch.problems


def test_a_certificate_becomes_valid_by_waiting(tmp_path: Path, clock: Clock) -> None:
    watch = CertificateWatch(Files(str(CA.leaf(starts=-60).write(tmp_path))), clock=clock)
    clock.now -= 3600
    assert watch.refresh() and "not valid before" in watch.problems[0]
    clock.now += 3600
    assert watch.refresh() and watch.problems == ()


def test_without_a_directory() -> None:
    watch = CertificateWatch(Files(None))
    assert watch.refresh() and not watch.refresh()
    assert (watch.form(), watch.problems, told(watch), watch.seconds_left()) == (
        None,
        ("--tls-dir is not set",),
        [],
        None,
    )


def test_a_new_controller_goes_on_with_what_the_former_had(tmp_path: Path) -> None:
    watch = CertificateWatch(Files(str(tmp_path)))
    expired = CA.leaf(starts=-7200, lasts=-60)
    watch.adopt(expired.tls())
    assert watch.refresh() and watch.problems
    assert watch.form() == expired.tls()
    watch.adopt(None)
    assert watch.form()


def test_trust_domains(tmp_path: Path) -> None:
    directory = str(CA.leaf().write(tmp_path))
    for given, aliases, expected in (
        (None, (), ("cluster.local",)),
        (None, ("old.example", "cluster.local"), ("cluster.local", "old.example")),
        ("new.example", ("cluster.local",), ("new.example", "cluster.local")),
    ):
        watch = CertificateWatch(Files(directory), given, aliases)
        watch.refresh()
        assert watch.trust_domains == expected
        assert len(told(watch)) == 1
    watch = CertificateWatch(Files(directory), "new.example")
    watch.refresh()
    assert told(watch)[1] == "our own trust domain cluster.local is not one of them"


def test_the_end_is_told_in_time_and_again(tmp_path: Path, clock: Clock) -> None:
    watch = CertificateWatch(Files(str(CA.leaf(starts=-60, lasts=86340).write(tmp_path))), clock=clock)
    watch.refresh()
    assert watch.reminder() is None
    clock.now += 0.81 * 86400
    level, text = watch.reminder() or (0, "")
    assert level == logging.WARNING and text.startswith("our certificate expires in 4 hours")
    clock.now += 60
    assert watch.reminder() is None
    clock.now += REMIND_S
    assert watch.reminder()
    clock.now += 86400
    level, text = watch.reminder() or (0, "")
    assert level == logging.ERROR and "peers refuse it" in text
    assert watch.form(), "it is kept all the same"
    left = watch.seconds_left()
    assert left is not None and left < 0


def test_what_is_shown_has_no_key(tmp_path: Path) -> None:
    leaf = CA.leaf()
    watch = CertificateWatch(Files(str(leaf.write(tmp_path))))
    assert watch.shown() == {"directory": str(tmp_path), "problems": ()}
    watch.refresh()
    shown = watch.shown()
    assert "PRIVATE" not in repr(shown) and leaf.key.decode().splitlines()[1] not in repr(shown)
    assert shown["identity"] == WAYPOINT
    assert 0.9 < shown["days_until_expiration"] <= 1
    assert shown["roots"][0]["subject"] == "O=cluster.local"
    assert len(shown["roots"][0]["fingerprint_sha256"]) == 64
