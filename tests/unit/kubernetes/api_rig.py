"""An API server of a few lines, over real sockets: a store with versions, lists, watches, and everything that can go
wrong on command. What a real one does is tests/cluster's business."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from proxy.kubernetes.api.access import Access
from proxy.kubernetes.api.client import Client

Object = dict[str, Any]
Wrong = Callable[["Handler"], bool]
"""Answers a request in the server's place; False if it has not."""


def thing(name: str, namespace: str = "shop", **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


class ApiServer:
    """`wrong` is asked before each request is answered; `requests` are the paths, with the query."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[tuple[int, str, str, Object]] = []
        self.objects: dict[str, dict[tuple[str, str], Object]] = {}
        self.version = 100
        self.oldest = 0
        self.wrong: Wrong = lambda handler: False
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.ended = False
        self.by_namespace = False
        """Whether paths and selectors narrow what is told, as a real server's do."""
        self.generation = 0
        """How often all watches were cut: one that began before the next time ends with it."""
        server = self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"api": self}))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def client(self) -> Client:
        return Client(Access("127.0.0.1", self.port, secure=False))

    def close(self) -> None:
        self.ended = True
        self.cut()
        self._server.shutdown()
        self._server.server_close()

    def put(self, resource: str, body: Object) -> None:
        name = body["metadata"].get("namespace", ""), body["metadata"]["name"]
        with self._changed:
            kind = "MODIFIED" if name in self.objects.setdefault(resource, {}) else "ADDED"
            self._note(resource, kind, body)
            self.objects[resource][name] = body

    def delete(self, resource: str, name: str, namespace: str = "shop") -> None:
        with self._changed:
            self._note(resource, "DELETED", dict(self.objects[resource].pop((namespace, name))))

    def bookmark(self, resource: str) -> None:
        with self._changed:
            self._note(resource, "BOOKMARK", {"metadata": {}})

    def compact(self) -> None:
        """Forget the history until now."""
        with self._changed:
            self.version += 1
            self.oldest = self.version

    def cut(self) -> None:
        """End every watch."""
        with self._changed:
            self.generation += 1
            self._changed.notify_all()

    def _note(self, resource: str, kind: str, body: Object) -> None:
        self.version += 1
        body["metadata"] = body["metadata"] | {"resourceVersion": str(self.version)}
        self._events.append((self.version, resource, kind, json.loads(json.dumps(body))))
        self._changed.notify_all()

    def wants(self, path: str, query: dict[str, str], body: Object) -> bool:
        if not self.by_namespace:
            return True
        metadata = body["metadata"]
        steps = path.split("/")
        narrowed = steps[steps.index("namespaces") + 1] if "namespaces" in steps[:-1] else ""
        labels = [each.split("=") for each in query.get("labelSelector", "").split(",") if each]
        return (
            (not narrowed or metadata.get("namespace") == narrowed)
            and all(metadata.get("labels", {}).get(name) == value for name, value in labels)
            and query.get("fieldSelector", "").removeprefix("metadata.name=") in ("", metadata["name"])
        )

    def after(self, resource: str, version: int, generation: int) -> Iterator[Object]:
        """Events, as they happen, until the watch, which began in this generation, is cut."""
        while True:
            with self._changed:
                while self.generation == generation and self.version <= version:
                    self._changed.wait(5)
                if self.generation != generation or self.ended:
                    return
                found = [each for each in self._events if each[0] > version and each[1] == resource]
                version = self.version
            for _, _, kind, body in found:
                yield {"type": kind, "object": body}


class Handler(BaseHTTPRequestHandler):
    api: ApiServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._refused():
            return
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        resource, namespace, one = _named(parts.path)
        if one:
            found = self.api.objects.get(resource, {}).get((namespace, one))
            self.answer(200, found) if found else self.refuse(404, f"{one} not found")
        elif query.get("watch"):
            self._watch(resource, query)
        else:
            self._list(resource, query)

    def do_POST(self) -> None:
        if self._refused():
            return
        resource, namespace, _ = _named(self.path)
        body = self._body()
        if (namespace, body["metadata"]["name"]) in self.api.objects.get(resource, {}):
            self.refuse(409, f"{body['metadata']['name']} already exists")
            return
        self.api.put(resource, body)
        self.answer(201, body)

    def do_PATCH(self) -> None:
        """Fields of the object itself."""
        if self._refused():
            return
        resource, namespace, name = _named(self.path)
        change, found = self._body(), self.api.objects.get(resource, {}).get((namespace, name))
        if found is None:
            self.refuse(404, f"{name} not found")
            return
        self.api.put(resource, found | change)
        self.answer(200, found | change)

    def _body(self) -> Object:
        found: Object = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _refused(self) -> bool:
        self.api.requests.append(self.path if self.command == "GET" else f"{self.command} {self.path}")
        self.api.headers.append(dict(self.headers))
        if not self.api.wrong(self):
            return False
        self.close_connection = True  # a body may not have been read
        return True

    def answer(self, status: int, body: Object, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, code: int, message: str, **headers: str) -> bool:
        self.answer(code, {"kind": "Status", "code": code, "message": message}, **headers)
        return True

    def _list(self, resource: str, query: dict[str, str]) -> None:
        items = [self.api.objects.get(resource, {})[key] for key in sorted(self.api.objects.get(resource, {}))]
        begin, size = int(query.get("continue", 0)), int(query.get("limit", 500))
        metadata = {"resourceVersion": str(self.api.version)}
        if begin + size < len(items):
            metadata["continue"] = str(begin + size)
        self.answer(200, {"metadata": metadata, "items": items[begin : begin + size]})

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_event(self, kind: str, body: Object) -> None:
        line = json.dumps({"type": kind, "object": body}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

    def _watch(self, resource: str, query: dict[str, str]) -> None:
        version, generation = int(query.get("resourceVersion", 0)), self.api.generation
        if version and version < self.api.oldest:
            self.refuse(410, "too old resource version")
            return
        self.begin_stream()
        if query.get("sendInitialEvents"):
            version = self.api.version
            for body in list(self.api.objects.get(resource, {}).values()):
                if self.api.wants(urlsplit(self.path).path, query, body):
                    self.send_event("ADDED", body)
            end = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
            self.send_event("BOOKMARK", {"metadata": end})
        for event in self.api.after(resource, version, generation):
            if event["type"] == "BOOKMARK" or self.api.wants(urlsplit(self.path).path, query, event["object"]):
                self.send_event(event["type"], event["object"])
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments: object) -> None:
        """Nothing to say."""


def _named(path: str) -> tuple[str, str, str]:
    """Resource, namespace and name ("" for a list) in a path."""
    steps = path.split("/")
    if "namespaces" not in steps[:-2]:
        return steps[-1], "", ""
    namespace, resource, *name = steps[steps.index("namespaces") + 1 :]
    return resource, namespace, "".join(name)


@contextmanager
def api_server() -> Iterator[ApiServer]:
    server = ApiServer()
    try:
        yield server
    finally:
        server.close()
