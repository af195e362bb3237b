"""Keys and certificates of a cluster, and the way in."""

import subprocess
from pathlib import Path
from typing import Any

ADMIN_TOKEN = "admin-token"
REQUESTS = """\
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
subjectAltName = @names
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[names]
DNS.1 = localhost
DNS.2 = kubernetes
DNS.3 = kubernetes.default
DNS.4 = kubernetes.default.svc
IP.1 = 127.0.0.1
IP.2 = 10.96.0.1
IP.3 = 10.10.0.1
"""


def make_certificates(folder: Path) -> None:
    """A CA of the cluster, the API server's certificate, the key that signs service account tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requests.cnf").write_text(REQUESTS)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, stderr=subprocess.DEVNULL)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650")
    openssl(
        "req",
        "-x509",
        *key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-subj",
        "/CN=test-cluster-ca",
        "-config",
        "/etc/ssl/openssl.cnf",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    openssl("req", *key[:-2], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=kube-apiserver")
    openssl(
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "3650",
        "-extfile",
        "requests.cnf",
        "-extensions",
        "server",
        "-out",
        "server.crt",
    )
    openssl("genrsa", "-out", "service-accounts.key", "2048")
    (folder / "tokens.csv").write_text(f'{ADMIN_TOKEN},admin,admin,"system:masters"\n')


def kubeconfig(folder: Path, port: int, token: str = ADMIN_TOKEN) -> dict[str, Any]:
    """What kubectl and other clients need (JSON is YAML)."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(folder / "ca.crt")},
            }
        ],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin", "namespace": "default"}}],
        "current-context": "test",
    }
