"""What a request costs here and in another checkout: `python -m tests.bench.against --before DIR [--workload W2 ...]`.

Both are up at once, with one worker each on the same core, and take short turns on the same requests. What is counted
is the CPU of the worker, user and system, all threads. The machine may be busy: ratios are taken within a round, which
is a turn of each; of the rounds median and quartiles are printed. Two runs of one tree show what noise is left.

Load, endpoints and certificates are those of the bench that is not in this repository (docs/benchmarks.md); `--bench`
is where it lies. With `--routed` this checkout has 16 routes and 16 access rules, of which the last fit: `--before .`
then says what they cost.
"""

import argparse
import contextlib
import os
import statistics
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.contestants import ROOT
from tests.bench.processes import Process, cpu_seconds, descendants

NICE = -18
WARM_UP = 4000
TURN_S = 20.0
ROUTED = 16
ROUTE = """  - matches: [{{path: {{type: PathPrefix, value: "{path}"}}}}]
    backendRefs: [{{name: in-ambient, port: {port}}}]
"""
ROUTES = """apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: bench, namespace: httpbin}}
spec:
  parentRefs: [{{group: "", kind: Service, name: in-ambient}}]
  rules:
{rules}"""
ALLOWED = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: allow-{number}, namespace: httpbin}}
spec:
  targetRefs: [{{group: "", kind: Service, name: in-ambient}}]
  action: ALLOW
  rules: [{{to: [{{operation: {{methods: [GET, POST], paths: ["{path}"]}}}}]}}]
"""


class Contestant:
    """A checkout, serving one workload on an address of its own."""

    def __init__(self, name: str, checkout: Path, number: int, routed: bool = False) -> None:
        self.routed = routed
        adapter = import_module("bench.adapters").Waypointd
        self.adapter: Any = type(name, (adapter,), {"name": name, "checkout": checkout})(number)

    def start(self, workload: Any, core: int, running: contextlib.ExitStack, load_core: int, warm_up: int) -> None:
        """Serves, and is warm, when this returns."""
        target = self.adapter.listen[workload.transport]
        self.adapter.prepare()
        if self.routed:
            manifests = routed(self.adapter.values()["vip_port"], workload.path)
            (self.adapter.dir / workload.transport / "routed.yaml").write_text(manifests)
        command = list(self.adapter.command(workload.transport))
        at = command.index("--redis")
        del command[at : at + 2]  # one store for both would make them one fleet
        self.process = running.enter_context(Process(command, core, self.adapter.dir / "output.log"))
        ip, port = target.split(":")
        self.process.await_listening(ip, int(port))
        load = import_module("bench.load")
        self.load = running.enter_context(load.start_load(workload, target, load_core, self.adapter.dir / "load.log"))
        self.turn(warm_up)

    def turn(self, requests: int) -> float:
        """The worker's CPU for a request, in microseconds. Raises RuntimeError if one fails."""
        before = self._cpu_seconds()
        done = self.load.closed(requests, TURN_S)
        used = self._cpu_seconds() - before
        if done["errors"] or done["non2xx"]:
            raise RuntimeError(f"{done['errors']} errors, {done['non2xx']} answers not 2xx: {self.adapter.dir}")
        return float(used / done["requests"] * 1e6)

    def _cpu_seconds(self) -> float:
        return sum(cpu_seconds(pid) for pid in descendants(self.process.pid) if _is_worker(pid))


def _is_worker(pid: int) -> bool:
    # The second is what it was called while workers were started by exec.
    return any(name in Path(f"/proc/{pid}/cmdline").read_bytes() for name in (b"waypointd: worker", b"proxy.worker"))


def routed(port: str, path: str) -> str:
    """Manifests of ROUTED routes and as many rules; requests for `path` are for the last of each."""
    others = [f"/api/v1/service-{number}" for number in range(ROUTED - 1)]
    rules = "".join(ROUTE.format(path=each, port=port) for each in [*others, path])
    allowed = [ALLOWED.format(number=number, path=each) for number, each in enumerate([*others, path])]
    return ROUTES.format(rules=rules) + "".join(allowed)


def main() -> int:
    """Exit status 0; RuntimeError when a figure could not be taken."""
    options = _arguments()
    sys.path.insert(0, str(options.bench.resolve()))
    import_module("bench.build").build()
    with contextlib.suppress(PermissionError):  # only root may; without it there is more noise
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    for workload in import_module("bench.workloads").select(options.workload):
        before, this = _rounds(options, workload)
        print(_said(workload.name, before, this), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.against", description="a request here and there")
    parser.add_argument("--before", type=Path, required=True, help="another checkout, compiled")
    parser.add_argument("--workload", nargs="+", default=["W1", "W2", "W6"], help="as the bench names them")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--requests", type=int, default=2500, help="of one turn")
    parser.add_argument("--routed", action="store_true", help="this one has routes and access rules")
    parser.add_argument("--bench", type=Path, default=ROOT.parent / "shared", help="the folder that has bench/")
    return parser.parse_args()


def _rounds(options: argparse.Namespace, workload: Any) -> tuple[list[float], list[float]]:
    layout, load = import_module("bench.layout"), import_module("bench.load")
    cores = sorted(os.sched_getaffinity(0))
    pair = [Contestant("before", options.before.resolve(), 1), Contestant("this", ROOT, 2, options.routed)]
    results: list[list[float]] = [[], []]
    layout.RUN.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as running:
        running.enter_context(load.start_origin(cores[0], layout.RUN / "origin.log"))
        for contestant in pair:
            contestant.start(workload, cores[-1], running, cores[0], min(WARM_UP, 2 * options.requests))
        for number in range(options.rounds):
            for at in (0, 1) if number % 2 else (1, 0):
                results[at].append(pair[at].turn(options.requests))
    return results[0], results[1]


def _said(name: str, before: Sequence[float], this: Sequence[float]) -> str:
    ratios = [mine / other for mine, other in zip(this, before, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return (
        f"{name:14} {statistics.median(before):8.2f} {statistics.median(this):8.2f} us/request"
        f"   x {middle:.3f}   ({low:.3f} to {high:.3f}, {len(ratios)} rounds)"
    )


if __name__ == "__main__":
    sys.exit(main())
