"""A real Prometheus, Debian's, that scrapes a replica every second: as it asks by itself, and in the text format."""

import contextlib
import http.client
import json
import math
import os
import shutil
import subprocess
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.metrics_rig import Sample, scraped
from tests.rig import ROOT, Replica, free_port, get, wait_until

MONITORING = ROOT / "deploy/helm/waypointd/monitoring"
JOBS = ("openmetrics", "text")


def program() -> str:
    """Where it is; the test is skipped where it is not."""
    if not (found := shutil.which("prometheus")):
        pytest.skip("prometheus is not installed: scripts/prepare test")
    return found


class Prometheus:
    """Its API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert answer["status"] == "success", f"{path} {parameters}: {answer}"
        return answer["data"]

    def query(self, expression: str) -> list[Sample]:
        """What an expression is now; what is no number is left out."""
        found = self.ask("query", query=expression)["result"]
        samples = (Sample(expression, each["metric"], float(each["value"][1])) for each in found)
        return [each for each in samples if not math.isnan(each.value)]

    def by(self, name: str, job: str, *labels: str) -> Counter[tuple[str, ...]]:
        """The sums of a counter's series in one job by these labels."""
        found = self.query(f'sum by ({", ".join(labels)}) ({name}{{job="{job}"}})')
        sums = {tuple(each.labels.get(label, "") for label in labels): int(each.value) for each in found}
        return +Counter(sums)

    def total(self, name: str, job: str) -> float:
        """The sum of all of its series."""
        return sum(each.value for each in self.query(f'sum({name}{{job="{job}"}})'))

    def scrapes(self) -> bool:
        """Has it read from the replica in both forms?"""
        with contextlib.suppress(OSError):
            ready = get(self._port, "/-/ready")[0] == 200  # before that its API answers 503
            return ready and len(self.query("waypointd_build_info")) == len(JOBS)
        return False


class _AsText(BaseHTTPRequestHandler):
    """Hands over the page in the text format, which Debian 12's Prometheus cannot be told to ask for."""

    metrics = 0

    def do_GET(self) -> None:
        head, text = scraped(self.metrics, "text/plain")
        with contextlib.suppress(OSError):  # it asks again
            self.send_response(200)
            self.send_header("content-type", head["content-type"])
            self.end_headers()
            self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def as_text(metrics: int) -> Iterator[int]:
    """A port where the page of another is in the text format."""
    handler = type("_Handler", (_AsText,), {"metrics": metrics})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def configuration(ports: tuple[int, ...]) -> dict[str, Any]:
    """Of Prometheus: a job for each of `JOBS`, and our alerts."""
    jobs = [
        {
            "job_name": job,
            "metrics_path": "/stats/prometheus",
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "httpbin"}}],
        }
        for job, port in zip(JOBS, ports, strict=True)
    ]
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {"global": every, "rule_files": [str(MONITORING / "alerts.yaml")], "scrape_configs": jobs}


@contextlib.contextmanager
def prometheus(directory: Path, replica: Replica) -> Iterator[Prometheus]:
    """It runs, and has scraped once."""
    directory.mkdir()
    file, port = directory / "prometheus.yaml", free_port()
    command = [program(), f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}", "--log.level=warn"]
    with as_text(replica.metrics) as text, (directory / "log").open("wb") as log:
        file.write_text(yaml.safe_dump(configuration((replica.metrics, text))))
        listen = f"--web.listen-address=127.0.0.1:{port}"
        process = subprocess.Popen([*command, listen], stderr=log, env=os.environ | {"GOMAXPROCS": "1"})
        try:
            made = Prometheus(port)
            wait_until(made.scrapes, 20, f"scrapes: {directory / 'log'}")
            yield made
        finally:
            process.kill()
            process.wait()
