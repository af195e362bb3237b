"""Writes what is made for a Gateway, if it is ours to write: a server-side apply of what is not yet so.

An object of the same name that somebody else made is not touched. What was applied, and found unchanged since, is not
applied again: a look at a Gateway where nothing has changed costs no request.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from proxy.kubernetes.api.client import MERGE, Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.known import Known, owner_of
from proxy.kubernetes.deployer.queue import Key
from proxy.kubernetes.deployer.wish import MANAGED_BY, MANAGER

Object = dict[str, Any]
Place = tuple[Resource, str, str]
_NOT_COMPARED = ("resourceVersion", "managedFields", "generation", "uid", "creationTimestamp")


class NotLeading(Exception):
    """We have lost the lead: somebody else may be writing already."""


class Foreign(Exception):
    """There is an object of that name which is not ours; the text says which."""


class Writer:
    """The one way to the API server for all that is written. `leads` is asked before each request."""

    def __init__(self, client: Client, known: Known, leads: Callable[[], bool]) -> None:
        self._client = client
        self._known = known
        self._leads = leads
        self._applied: dict[Place, tuple[str, str]] = {}
        """What was asked for, and what there was after it."""

    def forget(self) -> None:
        """Others may have written meanwhile."""
        self._applied.clear()

    def apply(self, body: Object, owner: Key | None) -> None:
        """Have it so; `owner`: the Gateway that it is for, None if for several. Foreign, ApiFault, NotLeading."""
        place = _place(body)
        wanted, seen = json.dumps(body, sort_keys=True), self._known.get(*place)
        if self._applied.get(place) == (wanted, _said(seen) if seen else ""):
            return
        self._see_that_ours(place, seen, owner)
        resource, namespace, name = place
        made = self.send("PATCH", resource, namespace, name, body)
        # A Secret is not watched, so nothing is compared.
        self._applied[place] = wanted, "" if resource == kinds.SECRETS else _said(made)

    def status(self, resource: Resource, namespace: str, name: str, status: Object) -> None:
        """Say this in the status; of what is gone meanwhile nothing needs to be said."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "status": status}
        try:
            self.send("PATCH", resource, namespace, name, body, "status")
        except ApiFault as fault:
            if not fault.not_found:
                raise

    def merge_status(self, resource: Resource, seen: Object, status: Object) -> None:
        """Put this into the status of an object that others write too, unless it is another by now: then it is told."""
        metadata = seen["metadata"]
        change = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status}
        if not self._leads():
            raise NotLeading
        path = resource.path(metadata["namespace"], metadata["name"], "status")
        try:
            self._client.send("PATCH", path, change, content_type=MERGE)
        except ApiFault as fault:
            if not fault.not_found and not fault.conflict:
                raise

    def send(
        self, method: str, resource: Resource, namespace: str, name: str, body: Object, subresource: str = ""
    ) -> Object:
        """One request, if we lead."""
        if not self._leads():
            raise NotLeading
        path = resource.path(namespace, name, subresource)
        return self._client.apply(path, body, MANAGER) if method == "PATCH" else self._client.send(method, path, body)

    def delete(self, resource: Resource, child: Object) -> None:
        """Take away exactly this one; what is gone already is well."""
        metadata = child["metadata"]
        conditions = {"preconditions": {"uid": metadata["uid"]}, "propagationPolicy": "Background"}
        place = resource, metadata.get("namespace", ""), metadata["name"]
        self._applied.pop(place, None)
        try:
            self.send("DELETE", *place, conditions)
        except ApiFault as fault:
            if not fault.not_found and not fault.conflict:
                raise

    def exists(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """What the API server has of it, now."""
        try:
            return self._client.get(resource.path(namespace, name))
        except ApiFault as fault:
            if fault.not_found:
                return None
            raise

    def _see_that_ours(self, place: Place, seen: Object | None, owner: Key | None) -> None:
        """What is watched has our label; whatever else there is under this name has not, or is too new to be known."""
        resource, namespace, name = place
        found = seen or self.exists(resource, namespace, name)
        if found is None:
            return
        labels = found["metadata"].get("labels") or {}
        if labels.get(MANAGED_BY) == MANAGER and owner_of(found) == owner:
            return
        what = f"{resource.kind} {namespace}/{name}" if namespace else f"{resource.kind} {name}"
        label = f"{MANAGED_BY}: {MANAGER}"
        raise Foreign(f"{what} was there before and is not ours (it is not labelled {label}): remove or rename it")


def _place(body: Object) -> Place:
    metadata = body["metadata"]
    return kinds.BY_KIND[body["kind"]], metadata.get("namespace", ""), metadata["name"]


def _said(found: Object) -> str:
    """All that is not the server's own: if that has changed, somebody has changed it."""
    metadata = {key: value for key, value in found["metadata"].items() if key not in _NOT_COMPARED}
    rest = {key: value for key, value in found.items() if key not in ("metadata", "status", "apiVersion", "kind")}
    return json.dumps([metadata, rest], sort_keys=True)
