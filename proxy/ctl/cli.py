"""waypointctl's command line: what is common to its commands, each a module of its own."""

from typing import Any

import click

from proxy.ctl.adopt_keys import adopt_keys
from proxy.ctl.by_hand import eject, uneject
from proxy.ctl.dev_certs import dev_certs
from proxy.ctl.ejections import list_ejections
from proxy.ctl.explain import tell_why
from proxy.ctl.fleet_store import FleetStore, fleet_options, keys_prefix
from proxy.ctl.get import get_objects
from proxy.ctl.hbone.hbone_get import hbone_get
from proxy.ctl.history import tell_history
from proxy.ctl.source import Place
from proxy.version import __version__
from state.server.access import Access


class _Group(click.Group):
    """Its own options may stand behind the command too, where most people write them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._own_first(ctx, args))

    def _own_first(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = {name for each in self.params for name in each.opts if name.startswith("--") and not _is_flag(each)}
        own, others, left = [], [], iter(args)
        for argument in left:
            if argument == "--":
                others += [argument, *left]
            elif argument.partition("=")[0] not in named:
                others.append(argument)
            elif "=" in argument:
                own.append(argument)
            else:
                if (value := next(left, None)) is None:
                    raise click.BadOptionUsage(argument, f"Option {argument!r} requires an argument.", ctx)
                own += [argument, value]
        return [*own, *others]


def _is_flag(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and parameter.is_flag


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@fleet_options
@click.option(
    "--admin",
    metavar="URL",
    help="Ask a replica by its admin pages (http://127.0.0.1:15000), not Redis; it adds what it knows by itself.",
)
@click.version_option(__version__, prog_name="waypointctl", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context, /, admin: str | None, redis_prefix: str, mesh_id: str | None, **access: str) -> None:
    """Look at a fleet of waypointd, and at a mesh that does not work.

    \b
    Examples:
      waypointctl --redis redis://127.0.0.1:6379 ejections
      waypointctl --redis redis+sentinel://s1,s2,s3/fleet --redis-password-file password ejections
      waypointctl eject httpbin/in-ambient:8000 10.10.0.16:8080 --for 10m --why 'disk full'
      waypointctl uneject httpbin/in-ambient:8000 10.10.0.16:8080
      waypointctl explain httpbin/in-ambient:8000 10.10.0.16:8080
      waypointctl history --follow
      waypointctl get routes
      waypointctl explain route GET http://in-ambient.httpbin:8000/hostname
      waypointctl --admin http://127.0.0.1:15000 explain httpbin/in-ambient:8000
      waypointctl dev-certs certs
      waypointctl hbone-get 127.0.0.1:15008 in-ambient.httpbin:8000 /hostname --tls-dir certs/client
    """
    context.obj = Place(FleetStore(Access(**access), keys_prefix(context, redis_prefix, mesh_id)), admin)


for _command in (list_ejections, eject, uneject, adopt_keys, tell_history, tell_why, get_objects, dev_certs, hbone_get):
    main.add_command(_command)

LATER = {
    "top": "live numbers",
    "doctor": "look for what commonly goes wrong",
}


def _add_later(name: str, purpose: str) -> None:
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}

    @main.command(name, short_help=f"{purpose} (not built in this version)", context_settings=anything)
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def later(rest: Any) -> None:
        raise click.UsageError(f"`{name}` is not built in this version")

    later.help = f"{purpose[0].upper()}{purpose[1:]}. Not built in this version."


for _name, _purpose in LATER.items():
    _add_later(_name, _purpose)
