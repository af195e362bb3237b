"""Renders deploy/install.yaml, the chart as plain manifests, in namespace waypointd-system: `make chart` writes it.

python scripts/install_yaml.py [--set redis.url=redis://...]... >install.yaml
"""

import sys
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm" / "waypointd"
NAMESPACE = "waypointd-system"
HEAD = f"""\
# waypointd in a cluster, as deploy/helm/waypointd makes it by itself, in namespace {NAMESPACE}. Made by `make chart`.
#
#   kubectl apply --server-side --filename deploy/install.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    istio.io/dataplane-mode: none
"""
LAST = ("StatefulSet", "Deployment")
"""What starts Pods: when all that they need is there."""


def rendered(values: dict[str, Any], namespace: str = NAMESPACE) -> list[str]:
    """The chart's manifests as text, in the order in which they can be applied."""
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="waypointd", namespace=namespace)
    texts = [text for name, text in sorted(files.items()) if name.endswith(".yaml")]
    manifests = [each.strip() for text in texts for each in f"\n{text}".split("\n---\n")]
    found = [each for each in manifests if yaml.safe_load(each)]
    return sorted(found, key=lambda each: yaml.safe_load(each)["kind"] in LAST)


def install_yaml(values: dict[str, Any]) -> str:
    """All of it."""
    texts = [each.replace("managed-by: Helm", "managed-by: install.yaml") for each in rendered(values)]
    return "---\n".join([HEAD, *(f"{each}\n" for each in texts)])


if __name__ == "__main__":
    settings = [text for flag, text in zip(sys.argv[1::2], sys.argv[2::2], strict=True) if flag == "--set"]
    sys.stdout.write(install_yaml(helm.parse_set_string(",".join(settings)) if settings else {}))
