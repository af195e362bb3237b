"""`waypointctl dev-certs`: certificates for a mesh on one machine. What they are like: `proxy.identity.dev_mesh`."""

from pathlib import Path

import click

from proxy.ctl.common import checked, fail
from proxy.identity.dev_mesh import USUAL, DevMesh, DevMeshFault, Identity
from proxy.settings import kinds


def _identities(values: object) -> tuple[Identity, ...]:
    return tuple(map(Identity.parse, values)) or USUAL if isinstance(values, tuple) else USUAL


@click.command(
    "dev-certs",
    short_help="make a mesh CA and certificates for trying things out",
    context_settings={"max_content_width": 120},
)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--trust-domain", metavar="TEXT", callback=checked(kinds.trust_domain), help="[that of the CA, cluster.local]"
)
@click.option(
    "--identity",
    "identities",
    metavar="[NAME=]NS/ACCOUNT",
    multiple=True,
    callback=checked(_identities),
    help="Whom to make a certificate for, in DIR/NAME or DIR/NS/ACCOUNT; may be given several times. "
    "[waypoint=httpbin/httpbin-waypoint, client=httpbin/client-in-ambient, endpoint=httpbin/in-ambient]",
)
@click.option(
    "--valid-for",
    metavar="TIME",
    default="24h",
    show_default=True,
    callback=checked(kinds.seconds(1)),
    help="How long from now, such as 12h, 30m or 90s.",
)
def dev_certs(directory: Path, trust_domain: str | None, identities: tuple[Identity, ...], valid_for: float) -> None:
    """Make a throw-away mesh CA in DIR, and certificates it signs.

    Each certificate gets a directory that can be given as --tls-dir. A CA that is there already is used again: run it
    again to renew certificates (a running waypointd takes them within two seconds) or with --identity to add some.

    \b
    Examples:
      waypointctl dev-certs certs
      waypointctl dev-certs certs --identity client=shop/web --valid-for 10m
    """
    try:
        mesh = DevMesh.open(directory, trust_domain)
        print(
            f"{'made' if mesh.new else 'used'} the CA {directory}/root-cert.pem, valid until {mesh.not_after:%Y-%m-%d}"
        )
        for identity in identities:
            end = mesh.issue(identity, trust_domain, valid_for)
            uri = identity.uri(trust_domain or mesh.trust_domain)
            print(f"made {directory}/{identity.directory}/ for {uri}, valid until {end:%Y-%m-%dT%H:%M:%SZ}")
    except DevMeshFault as fault:
        fail(str(fault))
    except BrokenPipeError:  # whoever read has read enough: click ends quietly
        raise
    except OSError as fault:
        fail(f"{fault.filename}: {fault.strerror}")
    print("Each can be a --tls-dir. For trying things out only: the CA's key lies beside it.")
