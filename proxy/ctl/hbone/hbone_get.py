"""`waypointctl hbone-get`: one request through an HBONE tunnel, like `curl -v` for a mesh."""

import contextlib
import os
import sys
from pathlib import Path
from typing import BinaryIO

import click

from proxy import addresses
from proxy.ctl.common import checked, fail
from proxy.ctl.hbone.inner import InnerExchange, Request
from proxy.ctl.hbone.own import own_authority, signed_by
from proxy.ctl.hbone.tunnel import Credentials, Failed, Trace, open_tunnel
from proxy.identity.certificates import CHAIN, FILES, KEY, ROOTS
from proxy.identity.http2 import Headers
from proxy.identity.istiod.authority import Authority
from proxy.settings import kinds

HBONE_PORT = 15008
ANSWERED_5XX = 1


def _waypoint(value: object) -> str:
    text = str(value)
    without_port = text.endswith("]") or ":" not in text
    return addresses.join(*addresses.split(f"{text}:{HBONE_PORT}" if without_port else text))


def _header(value: object) -> Headers:
    pairs = [line.partition(":") for line in value] if isinstance(value, tuple) else []
    if wrong := [name for name, colon, _ in pairs if not colon or not name.strip()]:
        raise ValueError(f"{wrong[0]!r} must be NAME: VALUE")
    return [(name.strip(), text.strip()) for name, _, text in pairs]


def _data(value: object) -> bytes:
    text = str(value)
    try:
        return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
    except OSError as fault:
        raise ValueError(f"{text[1:]}: {fault.strerror}") from fault


def _request_target(value: object) -> str:
    """What may stand for the path in a request line. Raises ValueError."""
    path = str(value)
    if not path.startswith("/") and path != "*":
        raise ValueError(f"{path!r} must begin with a slash: /{path}")
    return path


_path = click.Path(path_type=Path)
_file = click.Path(dir_okay=False, path_type=Path)
_time = kinds.seconds(0.001)


_argument, _option = click.argument, click.option


@click.command(
    "hbone-get",
    short_help="send a request through an HBONE tunnel and tell every step",
    context_settings={"max_content_width": 120},
)
@_argument("waypoint", metavar="WAYPOINT", callback=checked(_waypoint))
@_argument("target")
@_argument("path", default="/", callback=checked(_request_target))
@_option("--tls-dir", metavar="DIR", type=_path, envvar="WAYPOINT_TLS_DIR", help=f"Who we are: {', '.join(FILES)}.")
@_option("--cert", metavar="FILE", type=_file, help="Our certificate and its intermediates, instead.")
@_option("--key", metavar="FILE", type=_file, help="Its key.")
@_option("--ca", metavar="FILE", type=_file, help="The roots we trust.")
@_option("--host", metavar="TEXT", help="The Host header. [TARGET]")
@_option(
    "-H",
    "--header",
    "headers",
    metavar="NAME: VALUE",
    multiple=True,
    callback=checked(_header),
    help="Another header; may be given several times.",
)
@_option("-X", "--request", "method", metavar="METHOD", help="The method. [GET, with -d POST]")
@_option("-d", "--data", "body", metavar="TEXT", callback=checked(_data), help="A body; @FILE reads it from there.")
@_option("--http2", is_flag=True, help="Speak HTTP/2 in the tunnel (prior knowledge), as gRPC does.")
@_option("-o", "--output", metavar="FILE", type=_file, help="Where the body goes. [standard output]")
@_option("-s", "--silent", is_flag=True, help="Tell only what fails.")
@_option(
    "--timeout", metavar="TIME", default="10s", callback=checked(_time), help="How long to wait for each step. [10s]"
)
def hbone_get(
    waypoint: str,
    target: str,
    path: str,
    tls_dir: Path | None,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    host: str | None,
    headers: Headers,
    method: str | None,
    body: bytes | None,
    http2: bool,
    output: Path | None,
    silent: bool,
    timeout: float,
) -> None:
    """Open an HBONE tunnel through WAYPOINT to TARGET, as a ztunnel would, and ask for PATH in it.

    WAYPOINT is HOST[:PORT] (15008) of a waypoint, or of a pod's ztunnel. TARGET is what a client would have dialled: a
    Service's ADDRESS:PORT or NAME:PORT, or a pod's ADDRESS:PORT. Tells every step on standard error: what it finds (*),
    what it sends (>), what comes (<), what fails (!). In a Pod of the mesh (Istio's token and root are mounted) istiod
    signs a certificate of the Pod's account for it, if none is given.

    \b
    Exit status: 0  answered, with 2xx, 3xx or 4xx      4  TLS refused, by it or by us
                 1  answered, with 5xx                  5  CONNECT refused
                 2  bad usage                           6  no answer in the tunnel
                 3  no TCP connection

    \b
    Examples:
      waypointctl hbone-get 127.0.0.1:15008 in-ambient.httpbin:8000 /hostname --tls-dir certs/client
      waypointctl hbone-get 10.0.3.7 10.96.45.123:8000 /post -d @body.json --http2 --tls-dir certs/client
    """
    ours = _credentials(tls_dir, cert, key, ca)
    request = Request(method or ("GET" if body is None else "POST"), path, host or target, headers, body or b"", http2)
    trace = Trace(silent)
    try:
        credentials = signed_by(ours) if isinstance(ours, Authority) else ours
        tunnel = open_tunnel(waypoint, target, credentials, timeout, trace)
        with _opened(output) as sink:
            status = InnerExchange(tunnel, request, trace).run(sink)
    except Failed as fault:
        trace.say("!", str(fault))
        trace.say("!", f"look at: {fault.look_at}")
        sys.exit(fault.status)
    trace.done()
    sys.exit(ANSWERED_5XX if status >= 500 else 0)


def _credentials(tls_dir: Path | None, cert: Path | None, key: Path | None, ca: Path | None) -> Credentials | Authority:
    """What is given; else, inside a Pod of the mesh, who signs for it."""
    files = [given or (tls_dir / name if tls_dir else None) for given, name in ((cert, CHAIN), (key, KEY), (ca, ROOTS))]
    if not any(files) and (own := _own()):
        return own
    if not all(files):
        raise click.UsageError(
            "who are we? give --tls-dir DIR (waypointctl dev-certs makes some), or --cert, --key and --ca"
        )
    return Credentials(*(each for each in files if each))


def _own() -> Authority | None:
    try:
        return own_authority(os.environ)
    except ValueError as fault:
        raise click.UsageError(f"CA_ADDR: {fault}") from None


def _opened(output: Path | None) -> contextlib.AbstractContextManager[BinaryIO]:
    try:
        return open(output, "wb") if output else contextlib.nullcontext(sys.stdout.buffer)
    except OSError as fault:
        fail(f"{output}: {fault.strerror}", 2)
