"""What a Pod is told of itself: whether it stands in a cluster, which Gateway it was made for, who signs for it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
LABELS = Path("/etc/istio/pod/labels")
"""Where istiod's template for waypoints mounts the Pod's labels (downward API), a `key="value"` on each line."""
CA_TOKEN = "/var/run/secrets/tokens/istio-token"
CA_ROOT = "/var/run/secrets/istio/root-cert.pem"
"""Where Istio's templates mount the token for istiod's CA, and the root of its own certificate."""
USUAL_CA = "istiod.istio-system.svc:15012"
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"

_LABEL = re.compile(r'([^=]+)=("(?:[^"\\]|\\.)*")')


def in_cluster(environ: Mapping[str, str], token: Path = TOKEN) -> bool:
    """Whether the API server can be reached as this Pod's ServiceAccount."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and token.exists()


def own_gateway(environ: Mapping[str, str], labels: Path = LABELS) -> str | None:
    """The Gateway whose Deployment this Pod belongs to, `namespace/name`; None where nothing says so."""
    namespace = environ.get("POD_NAMESPACE")
    name = own_labels(labels).get(GATEWAY_NAME)
    return f"{namespace}/{name}" if namespace and name else None


def own_pod(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Namespace and name of this Pod; None where nothing says so."""
    namespace, name = environ.get("POD_NAMESPACE"), environ.get("POD_NAME")
    return (namespace, name) if namespace and name else None


def own_labels(labels: Path = LABELS) -> dict[str, str]:
    """The labels of this Pod, as far as they are mounted."""
    try:
        return read_labels(labels.read_text())
    except (OSError, UnicodeDecodeError):
        return {}


def own_ca(environ: Mapping[str, str], token: str, root: str) -> str | None:
    """The istiod that signs this Pod's certificate, `host:port`; None where nothing is mounted to ask it with."""
    if not (Path(token).exists() and Path(root).exists()):
        return None
    return environ.get("CA_ADDR") or USUAL_CA


def own_cluster(environ: Mapping[str, str]) -> str | None:
    """What istiod calls this cluster, if its template says."""
    return environ.get("ISTIO_META_CLUSTER_ID") or None


def read_labels(text: str) -> dict[str, str]:
    """The labels that a file of the downward API holds; values are quoted as Go quotes them."""
    found = (_LABEL.fullmatch(line) for line in text.splitlines())
    return {each[1]: json.loads(each[2]) for each in found if each}
