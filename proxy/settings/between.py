"""Rules between settings, once each is right by itself, and what follows from where we run."""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.settings import inside, kinds


def settle(values: dict[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Complete `values`, which have what was given; everything that does not go together."""
    if values.get("demo"):
        yield from _settle_demo(values)
    else:
        yield from _settle_source(values, environ)
        yield from _settle_ca(values, environ)
    if "cluster_id" not in values and (own := inside.own_cluster(environ)):
        values["cluster_id"] = own


def _settle_demo(values: dict[str, Any]) -> Iterator[str]:
    for key, what in (("manifests", "manifests"), ("ca", "certificates")):
        if key in values:
            yield f"--demo brings its own {what}: leave out --demo or --{key}"
    values.setdefault("bind", "127.0.0.1")
    values.setdefault("status", "127.0.0.1:15021")
    values.setdefault("metrics", "127.0.0.1:15020")
    values.setdefault("drain_delay", 0.0)


def _settle_source(values: dict[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    outside = "kubeconfig" in values or "context" in values
    if outside and values.get("source") == "files":
        yield "--kubeconfig and --context are for --source kubernetes: leave them out, or --source files"
    if outside or ("manifests" not in values and inside.in_cluster(environ)):
        values.setdefault("source", "kubernetes")
    if values.get("source") == "kubernetes":
        if "gateway" not in values and (own := inside.own_gateway(environ)):
            values["gateway"] = own
        if "gateway" not in values:
            yield "--source kubernetes: say which Gateway to serve with --gateway NAMESPACE/NAME"
    elif not values.get("manifests"):
        yield (
            "nothing to serve: give --manifests PATH (a file or a directory of Kubernetes manifests), "
            "--kubeconfig FILE for those of a cluster, or try --demo"
        )


def _settle_ca(values: dict[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    if "ca" in values and "tls_dir" in values:
        yield "--ca and --tls-dir: certificates come from one of them, leave out the other"
    if "ca" in values or "tls_dir" in values:
        return
    own = inside.own_ca(environ, values.get("ca_token", inside.CA_TOKEN), values.get("ca_root", inside.CA_ROOT))
    if own:
        try:
            values["ca"] = kinds.istiod(f"istiod://{own}")
        except ValueError as fault:
            yield f"CA_ADDR: {fault}"
