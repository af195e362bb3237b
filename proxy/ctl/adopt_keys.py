"""`waypointctl adopt-keys`: what is out under another prefix goes on under this one."""

import click

from proxy.ctl.common import checked, fail
from proxy.ctl.source import Place
from proxy.ctl.words import columns, printable
from proxy.settings import kinds
from proxy.settings.kinds import masked_url
from state.errors import StoreUnavailable
from state.operating.adopting import adopt


@click.command("adopt-keys")
@click.option(
    "--from",
    "old",
    default="waypoint",
    show_default=True,
    metavar="PREFIX",
    callback=checked(kinds.key_prefix),
    help="The first part of the keys as they were: --redis-prefix, with `:` and the mesh id, if there was one.",
)
@click.pass_obj
def adopt_keys(place: Place, old: str) -> None:
    """Take over what is out under another prefix of the same Redis, for a fleet that has got a mesh id, or a prefix.

    Ejections keep their time, who did it and why. What the fleet has decided under its new prefix goes before. It may
    be done again, and while replicas still use the old keys, which are left as they are.

    \b
    Examples:
      waypointctl --redis redis://redis.example:6379 --mesh-id cluster.local/east adopt-keys
      waypointctl --redis-prefix shop adopt-keys --from waypoint
    """
    new = place.store.prefix
    if place.admin is not None:
        raise click.UsageError("adopt-keys works on Redis: give --redis, not --admin")
    if new == old:
        raise click.UsageError(f"both are {old}: say which keys are the new ones by --mesh-id or --redis-prefix")
    try:
        with place.store.client() as client:
            done = list(adopt(client, old, new))
    except StoreUnavailable as fault:
        fail(f"{masked_url(place.store.access.redis)}: {fault}")
    for line in columns([(each.cluster, each.endpoint, printable(each.outcome)) for each in done]):
        print(line)
    if not done:
        print(f"nothing is out under {old}")
