"""What the chart makes for the Prometheus operator: by its CRDs a real API server takes it, and knows each field."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
import yaml

from tests.cluster.api_rig import Api
from tests.cluster.deployer_rig import ROOT
from tests.cluster.istiod_site import kubectl

pytestmark = pytest.mark.api

NAMESPACE = "monitored"
VALUES = {
    "metrics": {
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "15s"},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "istio": {"overlay": {"class": "waypointd-istio"}},
}


def monitoring() -> list[dict[str, Any]]:
    """Of the chart, with all of it asked for."""
    pytest.importorskip("helm_python", reason="helm-python-sdk is not installed: scripts/prepare chart")
    rendered = runpy.run_path(str(ROOT / "scripts" / "install_yaml.py"))["rendered"]
    found = [yaml.safe_load(each) for each in rendered(VALUES, NAMESPACE)]
    return [each for each in found if each["apiVersion"] == "monitoring.coreos.com/v1"]


def test_the_operators_crds_take_what_the_chart_makes(api: Api) -> None:
    made = monitoring()
    names = [(each["kind"], each["metadata"]["name"]) for each in made]
    monitors = ("waypointd", "waypointd-waypointd-istio")
    assert names == [*(("PodMonitor", each) for each in monitors), ("PrometheusRule", "waypointd")]
    kubectl("create", "namespace", NAMESPACE)
    try:
        kubectl("apply", "--server-side", "--validate=strict", "-f", "-", given=yaml.safe_dump_all(made))
        for kind, name in names:
            there = yaml.safe_load(kubectl("-n", NAMESPACE, "get", kind, name, "-o", "yaml"))
            asked = next(each for each in made if (each["kind"], each["metadata"]["name"]) == (kind, name))
            assert there["spec"] == asked["spec"], "nothing is left out"
            assert there["metadata"]["labels"]["release"] == "prometheus"
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")
