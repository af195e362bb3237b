"""A replica's admin pages, asked for what they know of ejections (proxy/admin/outlier_pages.py answers)."""

import http.client
import json
import sys
from dataclasses import asdict
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import click

from proxy.ctl.fleet_store import TIMEOUT_S
from state.errors import StoreUnavailable
from state.operating import explain
from state.operating.history import Entry
from state.operating.operator import Done, Order
from state.operating.sight import Out
from state.operating.viewer import Refused

DEFAULT_PORT = 15000


class AdminSource:
    """One replica. Every method may raise Refused (it says no) and StoreUnavailable (it, or its Redis, is away)."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    @classmethod
    def at(cls, url: str) -> Self:
        """The pages at `http://HOST:PORT`, with or without the beginning. Raises click.UsageError."""
        parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
        try:
            host, port = parts.hostname, parts.port or DEFAULT_PORT
        except ValueError:
            host = None
        if not host or parts.scheme != "http":
            raise click.UsageError(f"--admin {url}: give http://HOST:PORT, as http://127.0.0.1:{DEFAULT_PORT}")
        return cls(host, port)

    def ejections(self) -> list[Out]:
        """What is out for this replica; without Redis, what it has out itself."""
        page = self._get("/ejections", {})
        if page["fault"]:
            print(f"waypointctl: {page['fault']}; this is what {page['replica']} itself has out", file=sys.stderr)
        return [Out(**each) for each in page["ejections"]]

    def nothing_here(self) -> str:
        """A replica knows what it serves."""
        return ""

    def history(self, cluster: str = "", endpoint: str = "", limit: int = 20, since_ms: int = 0) -> list[Entry]:
        """See state.operating.viewer.Viewer."""
        query: dict[str, str | int] = {"cluster": cluster, "endpoint": endpoint, "limit": limit, "since_ms": since_ms}
        return [Entry(**each) for each in self._get("/history", query)]

    def explain(self, cluster: str, endpoint: str = "") -> explain.ClusterReport:
        """See state.operating.viewer.Viewer; the replica adds what it sees."""
        return explain.from_json(self._get("/explain", {"cluster": cluster, "endpoint": endpoint}))

    def policy(self, cluster: str) -> dict[str, Any]:
        """What is in force for a cluster: `rule`, whether it `ejects`, and `values`, each with its rule
        (proxy/controller/rule_pages.py)."""
        found: dict[str, Any] = self._get("/policy", {"cluster": cluster})
        return found

    def picks(self, cluster: str) -> dict[str, Any]:
        """Why its endpoints are picked, or are not (proxy/admin/picking.py)."""
        found: dict[str, Any] = self._get("/picks", {"cluster": cluster})
        return found

    def objects(self, path: str, name: str) -> tuple[str, list[dict[str, Any]]]:
        """The Gateway's namespace, and all objects of a page that the replica has read, which stand under `name`."""
        page = self._get(path, {})
        return page["namespace"], page[name]

    def route(self, asked: dict[str, str | int]) -> dict[str, Any]:
        """What would become of a request that nobody sends (proxy/controller/route_pages.py)."""
        found: dict[str, Any] = self._get("/route", asked)
        return found

    def eject(self, order: Order) -> Done:
        """See state.operating.operator.Operator."""
        return Done(**self._ask("POST", "/eject", json.dumps(asdict(order))))

    def uneject(self, order: Order) -> Done:
        """See state.operating.operator.Operator."""
        return Done(**self._ask("POST", "/uneject", json.dumps(asdict(order))))

    def _get(self, page: str, query: dict[str, str | int]) -> Any:
        return self._ask("GET", f"{page}?{urlencode({name: value for name, value in query.items() if value})}")

    def _ask(self, method: str, target: str, body: str = "") -> Any:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        headers = {"content-type": "application/json"} if body else {}
        try:
            connection.request(method, target, body.encode() or None, headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as fault:
            raise StoreUnavailable(
                f"http://{self._host}:{self._port}: {fault}; is that a replica's admin address (--admin)?"
            ) from fault
        finally:
            connection.close()
        if response.status == 503:
            raise StoreUnavailable(text.strip())
        if response.status == 400 and text.strip():
            raise Refused(text.strip())
        try:
            return json.loads(text if response.status == 200 else "")
        except ValueError as fault:
            place = f"http://{self._host}:{self._port}"
            raise StoreUnavailable(
                f"{place}: that is no admin page of waypointd; is it a replica's admin address (--admin)?"
            ) from fault
