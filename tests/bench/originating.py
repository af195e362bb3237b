"""What TLS to endpoints costs a request: `python -m tests.bench.originating [--rounds N]`.

The same requests (HTTP/1.1 GET, 1 KiB back, connections kept) to nginx in clear text and under TLS, by one worker of
waypointd and one of Envoy, which take short turns. What is counted is the CPU of the proxy's worker.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.load import run
from tests.bench.processes import cpu_seconds, descendants
from tests.certificates import Authority
from tests.hbone import envoy
from tests.integration.http_rig import Scripted, service, slice_of
from tests.integration.tls_rig import tls_rule
from tests.manifests import Manifests, gateway, namespace
from tests.rig import free_port, replica, wait_until

ENDPOINT = "127.31.1.1"
CLEAR, TLS = "clear text", "under TLS"
SERVICE = "in-ambient"
NAME = "api.example"
CONNECTIONS, SECONDS = 16, 2.0


def main() -> int:
    """Exit status 0; RuntimeError when a figure could not be taken."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.originating", description="TLS to endpoints")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="waypointd-bench-") as scratch, contextlib.ExitStack() as running:
        turns = _start(Path(scratch), running, cores)
        found: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(rounds + 1):
            for name, turn in turns.items():
                cost = turn()
                if number:  # the first warms up
                    found[name].append(cost)
    for name, costs in found.items():
        low, middle, high = statistics.quantiles(costs, n=4, method="inclusive")
        print(f"{name:22} {middle:7.1f} us of CPU a request ({low:.1f} to {high:.1f}, {rounds} rounds)")
    return 0


def _start(scratch: Path, running: contextlib.ExitStack, cores: list[int]) -> dict[str, Callable[[], float]]:
    """A turn for each proxy, in clear text and under TLS."""
    clear, secured = free_port(ENDPOINT), free_port(ENDPOINT)
    ca = _endpoints(scratch, running, clear, secured, cores[0])
    ports = {
        "waypointd": {name: free_port() for name in (CLEAR, TLS)},
        "Envoy": {name: free_port() for name in (CLEAR, TLS)},
    }
    turns = {}
    for name, port in ((CLEAR, clear), (TLS, secured)):
        rule = tls_rule(SERVICE, {"mode": "SIMPLE", "sni": NAME, "subjectAltNames": [NAME], "caCertificates": str(ca)})
        folder = scratch / name.replace(" ", "-")
        (folder / "manifests").mkdir(parents=True)
        manifests = Manifests(folder / "manifests")
        listening = ports["waypointd"][name]
        manifests.put("namespace", namespace())
        manifests.put("gateway", gateway(listening))
        manifests.put("service", service(SERVICE))
        manifests.put("slice", slice_of(SERVICE, [Scripted("nginx", ENDPOINT, port)]))
        if name == TLS:
            manifests.put("rule", rule)
        made = running.enter_context(replica(folder, manifests, listening, "--access-log", os.devnull))
        (worker,) = made.worker_pids()
        os.sched_setaffinity(worker, {cores[-1]})
        turns[f"waypointd, {name}"] = _turn(listening, cores[0], worker)
    context = {"common_tls_context": {"validation_context": {"trusted_ca": {"filename": str(ca)}}}, "sni": NAME}
    static = {
        "listeners": [envoy.listener(port, name) for name, port in ports["Envoy"].items()],
        "clusters": [envoy.cluster(CLEAR, (ENDPOINT, clear)), envoy.cluster(TLS, (ENDPOINT, secured), context)],
    }
    running.enter_context(envoy.running(scratch, "envoy", {"static_resources": static}))
    (pid,) = [each for each in descendants(os.getpid()) if b"envoy.json" in Path(f"/proc/{each}/cmdline").read_bytes()]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cores[-1]})
    for name, port in ports["Envoy"].items():
        turns[f"Envoy, {name}"] = _turn(port, cores[0], pid)
    return turns


def _turn(port: int, core: int, pid: int) -> Callable[[], float]:
    """Microseconds of that process's CPU for a request."""

    def turn() -> float:
        before = cpu_seconds(pid)
        requests = run("127.0.0.1", port, core, CONNECTIONS, SECONDS).requests
        return (cpu_seconds(pid) - before) / requests * 1e6

    return turn


def _endpoints(scratch: Path, running: contextlib.ExitStack, clear: int, secured: int, core: int) -> Path:
    """nginx on both ports; the CA of its certificate."""
    authority = Authority()
    leaf = authority.leaf("", names=[NAME])
    ca = scratch / "ca.pem"
    ca.write_bytes(authority.pem)
    (scratch / "chain.pem").write_bytes(leaf.chain)
    (scratch / "key.pem").write_bytes(leaf.key)
    (scratch / "hostname").write_text("x" * 1024)
    (scratch / "nginx.conf").write_text(
        f"""user root; worker_processes 1; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log; daemon off;
        events {{ worker_connections 512; }}
        http {{ access_log off; keepalive_requests 100000000; default_type text/plain; root {scratch};
          server {{ listen {ENDPOINT}:{clear}; listen {ENDPOINT}:{secured} ssl;
            ssl_certificate {scratch}/chain.pem; ssl_certificate_key {scratch}/key.pem; }} }}"""
    )
    command = ["taskset", "-c", str(core), "nginx", "-p", str(scratch), "-c", str(scratch / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    running.callback(process.wait)
    running.callback(process.terminate)
    wait_until((scratch / "nginx.pid").exists, 10, "nginx")
    return ca


if __name__ == "__main__":
    sys.exit(main())
