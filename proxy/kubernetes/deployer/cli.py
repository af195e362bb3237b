"""waypointd-deployer's command line."""

from __future__ import annotations

import os
import socket
import sys

import click

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import AccessFault
from proxy.kubernetes.api.find import find
from proxy.kubernetes.api.lease import Lease
from proxy.kubernetes.deployer.children import Site
from proxy.kubernetes.deployer.process import Deployer
from proxy.kubernetes.deployer.redis_access import RedisAccess
from proxy.log import set_up
from proxy.version import __version__

LEASE = "waypointd-deployer"


@click.command(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 120,
        "auto_envvar_prefix": "DEPLOYER",
        "show_default": True,
    }
)
@click.option("--image", required=True, metavar="IMAGE", help="The image of waypoints.")
@click.option("--pull-policy", default="IfNotPresent", metavar="POLICY", help="How waypoints' Pods pull it.")
@click.option("--pull-secret", multiple=True, metavar="NAME", help="A Secret with which they do; may be repeated.")
@click.option("--replicas", default=2, type=click.IntRange(1, 1000), help="Of each waypoint.")
@click.option(
    "--redis",
    default="",
    metavar="URL",
    help="The Redis of all waypoints; without, each replica is alone.",
    show_default=False,
)
@click.option(
    "--redis-secret",
    default="",
    metavar="NAME",
    show_default=False,
    help="A Secret beside us with what Redis takes: password, username, ca.crt ...; waypoints get a copy.",
)
@click.option("--make-redis-secret", is_flag=True, help="With a new password, if there is none.")
@click.option("--ca", default="istiod://istiod.istio-system.svc:15012", metavar="URL", help="Who signs certificates.")
@click.option("--cluster-id", default="Kubernetes", metavar="NAME", help="What istiod calls this cluster.")
@click.option(
    "--istiods-class",
    default="",
    metavar="NAME",
    show_default=False,
    help="A class whose waypoints istiod deploys as waypointd: they get rights, and what Redis takes.",
)
@click.option("--waypoint-arg", multiple=True, metavar="ARG", help="One more for waypointd; may be repeated.")
@click.option("--kubeconfig", default="", metavar="FILE", help="The cluster, from outside.", show_default=False)
@click.option("--context", default="", metavar="NAME", help="The kubeconfig's context.", show_default=False)
@click.option(
    "--namespace",
    default="",
    metavar="NAME",
    help="Where the Lease is; by itself where the Pod is.",
    show_default=False,
)
@click.option("--health", default="0.0.0.0:15021", metavar="HOST:PORT", help="/healthz/ready and /healthz/live.")
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
@click.version_option(__version__, prog_name="waypointd-deployer", message="%(prog)s %(version)s")
def main(
    image: str,
    pull_policy: str,
    pull_secret: tuple[str, ...],
    replicas: int,
    redis: str,
    redis_secret: str,
    make_redis_secret: bool,
    ca: str,
    cluster_id: str,
    istiods_class: str,
    waypoint_arg: tuple[str, ...],
    kubeconfig: str,
    context: str,
    namespace: str,
    health: str,
    log_level: str,
) -> None:
    """Deploy a waypoint for each Gateway of our GatewayClass.

    Every option can be given as a variable of the environment too: DEPLOYER_IMAGE, DEPLOYER_REDIS, and so on. Run
    two: one leads (a Lease says which), the other takes over.
    """
    set_up(log_level, "deployer")
    site = Site(
        image=image,
        pull_policy=pull_policy,
        pull_secrets=pull_secret,
        redis=redis,
        ca=ca,
        cluster_id=cluster_id,
        replicas=replicas,
        arguments=waypoint_arg,
    )
    try:
        client = Client(find(kubeconfig, context, os.environ))
        own = namespace or client.namespace
        lease = Lease(client, own, LEASE, f"{socket.gethostname()}-{os.getpid()}")
        access = RedisAccess(site, client, own, redis_secret, make_redis_secret) if redis_secret else lambda: site
        Deployer(client, lease, access, health, istiods_class).run()
    except (AccessFault, OSError, ValueError) as fault:
        sys.exit(f"waypointd-deployer: {fault}")
