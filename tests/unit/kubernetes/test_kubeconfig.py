"""kubeconfig files as kubectl reads them, and programs that say who we are."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.kubernetes.api import kubeconfig
from proxy.kubernetes.api.access import Access
from proxy.kubernetes.api.credentials import Anonymous, Certificate, Password, Token, TokenFile
from proxy.kubernetes.api.faults import AccessFault
from proxy.kubernetes.api.find import find
from proxy.kubernetes.api.plugin import Plugin


def config(user: dict[str, Any] | None = None, **cluster: Any) -> dict[str, Any]:
    cluster = {"server": "https://api.example:6443"} | cluster
    return {
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user or {}}],
    }


def written(path: Path, content: Any) -> str:
    path.write_text(yaml.safe_dump(content))
    return str(path)


def loaded(tmp_path: Path, user: dict[str, Any] | None = None, **cluster: Any) -> Access:
    return kubeconfig.load([written(tmp_path / "config", config(user, **cluster))])


def test_server_and_names(tmp_path: Path) -> None:
    access = loaded(tmp_path, server="https://api.example/k8s/clusters/a/")
    assert (access.host, access.port, access.prefix, access.namespace) == (
        *("api.example", 443),
        *("/k8s/clusters/a", "shop"),
    )
    access = loaded(tmp_path, None, server="http://127.0.0.1:8001", **{"tls-server-name": "kubernetes"})
    assert (access.secure, access.port, access.server_name, access.verify) == (False, 8001, "kubernetes", True)
    assert not loaded(tmp_path, None, **{"insecure-skip-tls-verify": True}).verify


def test_files_are_meant_from_where_the_kubeconfig_stands(tmp_path: Path) -> None:
    user = {"client-certificate": "me.crt", "client-key": "/etc/me.key"}
    access = loaded(tmp_path, user, **{"certificate-authority": "ca.crt"})
    assert access.ca_file == str(tmp_path / "ca.crt")
    assert access.credentials == Anonymous(Certificate(str(tmp_path / "me.crt"), "/etc/me.key"))


def test_data_in_the_file(tmp_path: Path) -> None:
    encoded = base64.b64encode(b"PEM").decode()
    user = {"client-certificate-data": encoded, "client-key-data": encoded}
    access = loaded(tmp_path, user, **{"certificate-authority-data": encoded})
    assert access.ca_data == "PEM" and access.credentials == Anonymous(Certificate(chain="PEM", key="PEM"))


def test_who_we_are(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"token": "t"}).credentials == Token("t")
    assert loaded(tmp_path, {"token": "t", "tokenFile": "f"}).credentials == TokenFile(tmp_path / "f")
    assert loaded(tmp_path, {"username": "a", "password": "b"}).credentials == Password("a", "b")
    assert Password("a", "b").header() == "Basic YTpi"
    groups = loaded(tmp_path, {"as": "jane", "as-groups": ["x", "y"]}).impersonate
    assert groups == (("Impersonate-User", "jane"), ("Impersonate-Group", "x"), ("Impersonate-Group", "y"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (config(server="api:6443"), "clusters.server: must be https://HOST:PORT, not 'api:6443'"),
        (config(None, **{"proxy-url": "http://p"}), "clusters.proxy-url: a proxy"),
        (config({"auth-provider": {"name": "gcp"}}), "users.auth-provider: was removed"),
        (config({"client-key": "k"}), "client-certificate and client-key are needed together"),
        (config({"exec": {"apiVersion": "v1alpha1", "command": "x"}}), "users.exec.apiVersion: must be one of"),
        (config(None, **{"certificate-authority-data": "!"}), "certificate-authority-data: is not base64"),
        (config() | {"current-context": "prod"}, "contexts: there is none called prod (there is dev)"),
        (config() | {"users": []}, "users: there is none called u"),
        ({}, "current-context: is not set; choose one with --context"),
        (["a"], "is no kubeconfig"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_field(tmp_path: Path, content: Any, said: str) -> None:
    file = written(tmp_path / "config", content)
    with pytest.raises(AccessFault) as caught:
        kubeconfig.load([file])
    assert str(caught.value).startswith(file) and said in str(caught.value)


def test_several_files_of_which_the_first_wins(tmp_path: Path) -> None:
    first = written(tmp_path / "a", {"clusters": config()["clusters"], "current-context": "dev"})
    second = written(tmp_path / "b", config(server="https://other:1") | {"current-context": "prod"})
    files = kubeconfig.paths("", {"KUBECONFIG": f"{first}:{second}:{tmp_path}/none"})
    assert kubeconfig.load(files).host == "api.example"
    with pytest.raises(AccessFault, match=r"none: no such file; give --kubeconfig FILE"):
        find(f"{tmp_path}/none", "", {"KUBERNETES_SERVICE_HOST": "a"})


def plugin(tmp_path: Path, **status: Any) -> tuple[Plugin, Path]:
    """One that notes each run, and what it was asked."""
    version = "client.authentication.k8s.io/v1"
    answer = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})
    (tmp_path / "answer").write_text(answer)
    script = f'echo "$KUBERNETES_EXEC_INFO $A" >> {tmp_path}/runs; cat {tmp_path}/answer'
    return Plugin("sh", ["-c", script], {"A": "b"}, version), tmp_path / "runs"


def test_a_program_is_asked_once_until_it_ends_or_is_refused(tmp_path: Path) -> None:
    asked, runs = plugin(tmp_path, token="one")
    assert [asked.header(), asked.header()] == ["Bearer one"] * 2
    lines = runs.read_text().splitlines()
    assert len(lines) == 1 and '"interactive": false' in lines[0] and lines[0].endswith(" b")
    asked.refused()
    asked.header()
    assert len(runs.read_text().splitlines()) == 2
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    ending, runs = plugin(tmp_path, token="two", expirationTimestamp=soon)
    ending.header(), ending.header()
    assert len(runs.read_text().splitlines()) == 4


def test_a_program_may_give_a_certificate(tmp_path: Path) -> None:
    asked, _ = plugin(tmp_path, clientCertificateData="C", clientKeyData="K")
    assert asked.certificate() == Certificate(chain="C", key="K") and asked.header() == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["sh", "-c", "echo no login >&2; exit 3"], "sh ended with status 3: no login"),
        (["sh", "-c", "echo hello"], "printed no ExecCredential"),
        (["/no/such/program"], "cannot be run.*; install it"),
    ],
)
def test_a_program_that_fails(command: list[str], said: str) -> None:
    asked = Plugin(command[0], command[1:], {}, "client.authentication.k8s.io/v1", "install it")
    with pytest.raises(AccessFault, match=said):
        asked.header()
