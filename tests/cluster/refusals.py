"""What an API server with Istio's CRDs, and the webhook of a real istiod, have against an object. Nothing is stored."""

from __future__ import annotations

import json
import ssl
import urllib.request

from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.resources import Resource
from tests.cluster.api_rig import Api, Object

INVALID = (400, 422)
WEBHOOK = "https://127.0.0.1:15017/validate"


def object_of(resource: Resource, namespace: str, spec: Object, **metadata: object) -> Object:
    heading = {"name": "case", "namespace": namespace, **metadata}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": heading, "spec": spec}


def refusal_by_crd(api: Api, resource: Resource, subject: Object) -> str:
    """What is said against it; "" where it would be stored."""
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    try:
        api.client.send("POST", resource.path("default"), subject, query)
    except ApiFault as fault:
        assert fault.status in INVALID, str(fault)
        return str(fault)
    return ""


def refusal_by_istiod(resource: Resource, subject: Object, id: str) -> str:
    """The same of its own validation, which an API server asks about what its CRD lets pass."""
    request = {
        "uid": id,
        "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
        "operation": "CREATE",
        "namespace": subject["metadata"]["namespace"],
        "name": "case",
        "object": subject,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    asked = urllib.request.Request(WEBHOOK, json.dumps(review).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30, context=trusting) as answer:
        response = json.load(answer)["response"]
    return "" if response["allowed"] else str(response["status"]["message"])
