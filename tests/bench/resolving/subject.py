"""One tree's figures, as JSON: a mesh as text, read from nothing and again after one change.

Runs over the packages of whichever tree is first on the path, so that the commit before is measured in the same run.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from importlib import import_module
from statistics import median
from typing import Any

TURNS = 7
HEAD = (
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio.io/use-waypoint: wp}}\n",
    """apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wp, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: http, port: 80, protocol: HTTP}, {name: mesh, port: 15008, protocol: HBONE}]
""",
)


def _module(*names: str) -> Any:
    """The first there is: things were elsewhere in the commits before."""
    for name in names[:-1]:
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    return import_module(names[-1])


loading = _module("proxy.mesh.resolving.load", "proxy.mesh.load")
Document = loading.Document


class Mesh:
    """Texts by file, loaded again and again by what remembers as much as the tree can."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = dict(texts)
        self._remembers = hasattr(loading, "Loader")
        self._loader: Any = loading.Loader() if self._remembers else loading.Trees()

    def load(self, documents: list[Any]) -> tuple[float, Any]:
        """Milliseconds of CPU, and what was loaded."""
        return measured(lambda: self._load(documents))

    def load_parsed(self, name: str, text: str) -> float:
        """Milliseconds of CPU for one object whose text has been parsed before."""
        self.texts[name] = text
        documents = in_files(self.texts)
        if not self._remembers:
            list(self._loader.of(documents))
            return self.load(documents)[0]
        reading = import_module("proxy.mesh.reading.sheets")
        place = import_module("proxy.mesh.reading.remarks").Place(name)
        (tree,) = import_module("proxy.mesh.reading.tree").read(text)

        def take() -> Any:
            self._loader.put(name, [(reading.read_sheet(tree, loading.READERS), place)])
            return self._loader.loaded()

        return measured(take)[0]

    def _load(self, documents: list[Any]) -> Any:
        return self._loader.load(documents) if self._remembers else loading.load(documents, None, self._loader)


def service(number: int, port: int = 8080) -> str:
    """One Service, with its rule."""
    return f"""apiVersion: v1
kind: Service
metadata:
  name: checkout-{number}
  namespace: shop
spec:
  clusterIP: 10.{96 + number // 65536}.{number // 256 % 256}.{number % 256}
  ports:
    - name: http
      port: 80
      targetPort: {port}
"""


def rule(number: int, errors: int = 3) -> str:
    """The DestinationRule of one Service."""
    return f"""apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: checkout-{number}
  namespace: shop
spec:
  host: checkout-{number}
  trafficPolicy:
    outlierDetection:
      consecutive5xxErrors: {errors}
      interval: 10s
      baseEjectionTime: 30s
      maxEjectionPercent: 50
"""


def slice_of(number: int, endpoints: int) -> str:
    """The EndpointSlice of one Service."""
    return f"""apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: checkout-{number}-x7k2p
  namespace: shop
  labels:
    kubernetes.io/service-name: checkout-{number}
addressType: IPv4
ports:
  - name: http
    port: 8080
endpoints:
""" + "".join(
        f"""  - addresses:
      - {address(number, at)}
    conditions:
      ready: true
      serving: true
      terminating: false
    nodeName: node-{at % 7}
    targetRef:
      kind: Pod
      name: checkout-{number}-{at}
      namespace: shop
"""
        for at in range(endpoints)
    )


def pod(number: int, at: int, account: str = "checkout") -> str:
    """The Pod behind one endpoint."""
    return f"""apiVersion: v1
kind: Pod
metadata:
  name: checkout-{number}-{at}
  namespace: shop
  annotations:
    ambient.istio.io/redirection: enabled
spec:
  serviceAccountName: {account}
status:
  phase: Running
  podIP: {address(number, at)}
"""


def address(number: int, at: int) -> str:
    return f"10.{number // 256}.{number % 256}.{at + 1}"


def measured(run: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds of CPU, and what was loaded."""
    began = time.process_time_ns()
    found = run()
    taken = (time.process_time_ns() - began) / 1e6
    assert found.snapshot is not None, found.faults[:3]
    return taken, found


def in_files(texts: dict[str, str]) -> list[Any]:
    return [Document(name, text) for name, text in texts.items()]


def in_one(texts: dict[str, str]) -> list[Any]:
    return [Document("all.yaml", "---\n".join(texts.values()))]


def figures(options: argparse.Namespace) -> dict[str, float]:
    """Medians, but of what happens once."""
    count, endpoints = options.services, options.endpoints
    mesh, found = Mesh(texts_of(options)), {}
    found["from nothing, a file an object"], loaded = mesh.load(in_files(mesh.texts))
    assert len(loaded.snapshot.clusters) == count
    found["MiB with all of it"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def changed(text: Callable[[int], str], name: str) -> float:
        taken = []
        for turn in range(TURNS):
            mesh.texts[f"{turn:05}-{name}.yaml"] = text(turn)
            taken.append(mesh.load(in_files(mesh.texts))[0])
        return median(taken)

    found["an EndpointSlice changes"] = changed(lambda turn: slice_of(turn, endpoints - 1), "slice")
    found["a DestinationRule changes"] = changed(lambda turn: rule(turn, 4), "rule")
    found["a Service comes"] = changed(lambda turn: service(count + turn), "new")
    if options.pods:
        found["a Pod changes"] = changed(lambda turn: pod(turn, 0, "other"), "pod-0")
    found["an EndpointSlice changes, parsed"] = median(
        mesh.load_parsed(f"{turn:05}-slice.yaml", slice_of(turn, endpoints - 2)) for turn in range(TURNS)
    )
    return found | in_one_file(mesh.texts, endpoints)


def texts_of(options: argparse.Namespace) -> dict[str, str]:
    """The manifests by file."""
    texts = {f"{index}-head.yaml": text for index, text in enumerate(HEAD)}
    for number in range(options.services):
        texts[f"{number:05}-service.yaml"] = service(number)
        texts[f"{number:05}-slice.yaml"] = slice_of(number, options.endpoints)
        texts[f"{number:05}-rule.yaml"] = rule(number)
        for at in range(options.endpoints) if options.pods else ():
            texts[f"{number:05}-pod-{at}.yaml"] = pod(number, at)
    return texts


def in_one_file(texts: dict[str, str], endpoints: int) -> dict[str, float]:
    """The same with one file for everything."""
    mesh, found, taken = Mesh(texts), {}, []
    found["from nothing, one file"], _ = mesh.load(in_one(mesh.texts))
    for turn in range(TURNS if hasattr(loading, "Loader") else 1):
        mesh.texts[f"{turn:05}-slice.yaml"] = slice_of(turn, endpoints - 3)
        taken.append(mesh.load(in_one(mesh.texts))[0])
    found["an EndpointSlice changes in it"] = median(taken)
    return found


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, required=True)
    parser.add_argument("--endpoints", type=int, required=True)
    parser.add_argument("--pods", action="store_true")
    print(json.dumps(figures(parser.parse_args())))


if __name__ == "__main__":
    main()
