"""The command line of waypointd: reads settings, refuses what cannot work, hands over to the arbiter.

Exit status: 0 after a clean drain, 1 for a configuration fault, 2 for bad usage. Never imports gevent.
"""

import dataclasses
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from proxy import log
from proxy.settings import inside, settings
from proxy.settings.setting import Setting
from proxy.settings.settings import SETTINGS, Settings, SettingsFault
from proxy.settings.unknown import unknown_in
from proxy.version import __version__
from state.server import access

if TYPE_CHECKING:
    from proxy.mesh.model import Listener
    from proxy.mesh.resolving.load import Loaded, Loader

CONFIGURATION_FAULT = 1
BAD_USAGE = 2

EXAMPLES = """\b
Examples:
  waypointd --demo                            try it: sample endpoints, nothing else needed
  waypointd --manifests manifests/ --check    what is wrong with my manifests? (-v: and which rule is in force where)
  kubectl get gateway,service,endpointslice,pod,destinationrule,ns -A -o yaml | waypointd --check --manifests -
  waypointd -w 4 --manifests manifests/ --redis redis://redis:6379/0
  waypointd --manifests manifests/ --tls-dir /etc/certs    the Gateway has an HBONE listener
  waypointd -c /etc/waypointd.yaml            the same, from a file

\b
Every option is also a key of the file (dashes as underscores) and an environment variable:
--access-log is access_log and WAYPOINT_ACCESS_LOG. A flag wins over the environment, that over the file.

\b
Signals: TERM        serve on for --drain-delay, then finish requests in flight and exit (again: at once)
         INT         the same without the delay: Ctrl-C
         HUP         read the manifests now, reopen the access log
         USR1        reopen the access log
         TTIN, TTOU  one worker more, one less
"""


def _option(name: str, setting: Setting) -> Callable[[Any], Any]:
    names = [part for part in (setting.short, settings.flag_name(name)) if part]
    shown = f"{setting.help} [{setting.shown_default}]" if setting.shown_default else setting.help
    if not setting.metavar:
        return click.option(*names, name, is_flag=True, help=shown)
    return click.option(*names, name, metavar=setting.metavar, multiple=setting.repeatable, help=shown)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for name, setting in reversed(SETTINGS.items()):
        command = _option(name, setting)(command)
    return command


@click.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("-c", "--config", metavar="FILE", help="Read settings from this YAML file (or WAYPOINT_CONFIG).")
@_options
@click.option(
    "--check", is_flag=True, help="Check settings and manifests, say everything that is wrong, start nothing."
)
@click.option("-v", "--verbose", is_flag=True, help="With --check: each cluster, its rule and how it is reached.")
@click.argument("more", nargs=-1, metavar="")
@click.version_option(__version__, prog_name="waypointd", message="%(prog)s %(version)s")
def main(config: str | None, check: bool, verbose: bool, more: tuple[str, ...], **flags: Any) -> None:
    """A waypoint proxy for Istio's ambient mesh. Endpoints that fail are ejected by the whole fleet at once."""
    _open_standard_streams()
    if more and not flags["manifests"]:
        _fail(BAD_USAGE, f"unexpected argument {more[0]}: manifests are given as --manifests {more[0]}")
    if verbose and not check:
        _fail(BAD_USAGE, "--verbose goes with --check")
    flags["manifests"] += more  # the shell made several of --manifests manifests/*.yaml
    try:
        loaded = settings.load(flags, os.environ, config)
    except SettingsFault as fault:
        if check:
            sys.exit(_told([], fault.faults))
        _fail(BAD_USAGE, *fault.faults)
    for text in unknown_in(os.environ):
        print(f"waypointd: warning: {text}", file=sys.stderr)
    sys.exit(_check(loaded, verbose) if check else _run(loaded))


def _open_standard_streams() -> None:
    """Started with one closed, the next file opened would take its number, and get what is written there."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def _fail(status: int, *lines: str) -> NoReturn:
    for line in lines:
        print(f"waypointd: {line}", file=sys.stderr)
    if status == BAD_USAGE:
        print("waypointd: see waypointd --help", file=sys.stderr)
    sys.exit(status)


def _run(loaded: Settings) -> int:
    _see_that_built()
    _see_that_log_opens(loaded.access_log)
    _see_that_manifests_stay(loaded.manifests)
    if faults := [*_faults_of_access(loaded), *_faults_of_cluster(loaded)]:
        _fail(CONFIGURATION_FAULT, *faults)
    from proxy.arbiter.arbiter import Arbiter  # needs what is compiled

    log.set_up(loaded.log_level, "arbiter")
    if not loaded.demo:
        return Arbiter(loaded).run()
    from proxy.demo.demo import Demo, DemoFault

    try:
        demo = Demo.prepare(loaded.bind)
    except DemoFault as fault:
        _fail(CONFIGURATION_FAULT, str(fault))
    try:
        certificates = loaded.tls_dir or str(demo.tls_dir)
        serving = dataclasses.replace(loaded, manifests=(str(demo.manifests),), tls_dir=certificates)
        return Arbiter(serving, companions=demo.endpoints, announce=demo.announce).run()
    finally:
        demo.end()


def _check(loaded: Settings, verbose: bool) -> int:
    """`--check`: one line for each warning and fault, and what would be served."""
    from proxy.mesh.resolving.here import own
    from proxy.mesh.resolving.load import Loader
    from proxy.mesh.sources.files import FileSource

    manifests = loaded.manifests
    if loaded.demo:
        from proxy.demo.demo import shipped_manifests

        manifests = (str(shipped_manifests()),)
    me = own(inside.own_pod(os.environ), loaded.locality, inside.own_labels())
    source, loader = FileSource(manifests, once=True), Loader(loaded.gateway, me)
    missing = _read_cluster(loaded, loader)
    documents, unreadable = source.read()
    result = loader.load(documents)
    listeners = result.snapshot.listeners if result.snapshot else ()
    faults = [*missing, *map(str, (*unreadable, *result.faults)), *_faults_of_certificates(listeners, loaded)]
    faults += [*_faults_of_access(loaded), *_gateway_missing(loaded, result, loader.gateways())]
    status = _told((*source.notes, *result.warnings, *_wrong_with_credentials(result)), faults)
    if not status:
        print("\n".join(_summary(result)))
    if verbose and result.snapshot:
        print("\n".join(loader.explained(loaded.in_mesh or loaded.demo)))
    return status


def _read_cluster(loaded: Settings, loader: "Loader") -> list[str]:
    """Give the loader what the cluster has; why that is not all of it, or not right."""
    if loaded.source != "kubernetes" or _faults_of_cluster(loaded):
        return _faults_of_cluster(loaded)
    from proxy.kubernetes.api.client import Client
    from proxy.kubernetes.api.faults import ApiFault
    from proxy.kubernetes.api.find import find
    from proxy.kubernetes.source.once import everything
    from proxy.kubernetes.source.plan import Known
    from proxy.mesh.resolving.live import Live

    live = Live(loader, "kubernetes")
    namespace, _, name = (loaded.gateway or "").partition("/")
    try:
        client = Client(find(loaded.kubeconfig or "", loaded.context or "", os.environ))
        for id, body in everything(client, Known(namespace, name)):
            if body is not None:
                live.put(id, body)
    except ApiFault as fault:
        return [str(fault)]
    return live.refused()


def _gateway_missing(loaded: Settings, result: "Loaded", known: Sequence[str]) -> list[str]:
    """The fault that the Gateway asked for is not among the manifests. (A replica waits for it.)"""
    if not loaded.gateway or result.snapshot or result.faults:
        return []
    there = f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}" if known else "there is none at all"
    where = "in the cluster" if loaded.source == "kubernetes" else "among the manifests"
    return [f"--gateway: {result.reason} {where}; {there}"]


def _summary(result: "Loaded") -> Iterator[str]:
    if result.unknown_kinds:
        yield f"kinds left alone: {', '.join(f'{kind} ({n})' for kind, n in sorted(result.unknown_kinds.items()))}"
    if result.acknowledged:
        yield f"warnings acknowledged by annotation: {len(result.acknowledged)}"
    if result.snapshot is None:
        yield f"nothing to serve yet: {result.reason}"
        return
    endpoints = sum(len(cluster.endpoints) for cluster in result.snapshot.clusters.values())
    ports = ", ".join(f"{each.port} ({each.protocol})" for each in result.snapshot.listeners) or "none"
    clusters = len(result.snapshot.clusters)
    yield f"Gateway {result.snapshot.gateway}: ports {ports}; {clusters} clusters, {endpoints} endpoints"


def _faults_of_certificates(listeners: "Sequence[Listener]", loaded: Settings) -> Sequence[str]:
    from proxy.identity import certificates
    from proxy.identity.files import Files

    if loaded.ca:
        return certificates.faults_of(listeners, "--ca", _faults_of_ca(loaded))
    files = Files(loaded.tls_dir)
    found = files.look(time.time())
    return certificates.faults_of(listeners, files.option, found.problems if found else ())


def _wrong_with_credentials(result: "Loaded") -> list[str]:
    """What TLS would lack here. No faults: files may be where the replica will be, and nowhere else."""
    from proxy.identity.credential_watch import CredentialWatch
    from proxy.mesh.resolving.credentials import wanted

    watch = CredentialWatch()
    if result.snapshot:
        watch.want(wanted(result.snapshot), result.snapshot.secrets)
        watch.refresh()
    return [text for _, text in watch.news()]


def _faults_of_ca(loaded: Settings) -> list[str]:
    """What is wrong before it is asked."""
    from proxy.identity.istiod.ask import faults_of, mounted
    from proxy.identity.istiod.authority import authority_of

    authority = authority_of(loaded)
    return faults_of(mounted(authority), authority, time.time())


def _faults_of_access(loaded: Settings) -> list[str]:
    """What is wrong with the files for Redis."""
    return [f"{settings.flag_name(name)} {text}" for name, text in access.file_faults(loaded.access())]


def _faults_of_cluster(loaded: Settings) -> list[str]:
    """Why the API server cannot even be asked."""
    from proxy.kubernetes.api.faults import AccessFault
    from proxy.kubernetes.api.find import find

    try:
        if loaded.source == "kubernetes":
            find(loaded.kubeconfig or "", loaded.context or "", os.environ).context()
    except AccessFault as fault:
        return [str(fault)]
    return []


def _told(warnings: Sequence[str], faults: Sequence[str]) -> int:
    """Print them; the exit status."""
    for warning in warnings:
        print(f"warning: {warning}")
    for fault in faults:
        print(f"fault: {fault}")
    if not faults:
        return 0
    print(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}: this cannot be used")
    return CONFIGURATION_FAULT


def _see_that_built() -> None:
    """A checkout has to be built once; say so instead of failing somewhere inside."""
    package = Path(__file__).parent
    sources = [path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.pyx")]
    modules = {".".join(source.parts) for source in sources} | {"proxy.scoreboard.scoreboard"}
    missing = sorted(module for module in modules if importlib.util.find_spec(module) is None)
    if missing:
        _fail(CONFIGURATION_FAULT, f"not built yet ({', '.join(missing)}): run `make build`, or `pip install -e .`")


def _see_that_log_opens(path: str) -> None:
    """Workers open it again and again; that it cannot be opened at all is better said once, here."""
    if path == "-":
        return
    try:
        # As workers open it: a named pipe without a reader is a fault, not something to wait for.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o644))
    except OSError as fault:
        _fail(CONFIGURATION_FAULT, f"--access-log {path}: {fault.strerror}: give a file that can be written, or -")


def _see_that_manifests_stay(manifests: Sequence[str]) -> None:
    from proxy.mesh.sources.paths import unrepeatable

    if faults := unrepeatable(manifests):
        _fail(BAD_USAGE, *faults)
