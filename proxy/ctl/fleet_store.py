"""Where waypointctl finds what the fleet keeps: options as waypointd's, and a client of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click
import redis
from click.core import ParameterSource

from proxy.ctl.common import checked, fail
from proxy.settings.kinds import masked_url
from proxy.settings.mesh_id import of_this_mesh, told_by_istio
from proxy.settings.settings import ENVIRONMENT_PREFIX, SETTINGS, flag_name
from state.server.access import Access, faults, file_faults
from state.server.connect import connect
from state.server.preflight import remedy_of

EMBEDDED_URL = "redis://127.0.0.1:6379"
TIMEOUT_S = 5.0
_NAMES = (*Access.__slots__, "redis_prefix", "mesh_id")
_HELP = {"redis": "Where the fleet keeps its ejections, as in waypointd's --redis."}
_DEFAULTS = {"redis": EMBEDDED_URL, "redis_prefix": "waypoint"}


@dataclass(frozen=True, slots=True)
class FleetStore:
    """What the options say."""

    access: Access
    prefix: str

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A client for the length of the block; what fails in it ends the program. Raises click.UsageError."""
        wrong = [*faults(self.access), *file_faults(self.access)]
        if wrong:
            raise click.UsageError("\n".join(f"{flag_name(name)} {text}" for name, text in wrong))
        access = replace(self.access, redis=EMBEDDED_URL) if self.access.redis == "embedded" else self.access
        try:
            with connect(access, TIMEOUT_S) as client:
                yield client
        except (redis.RedisError, OSError) as fault:
            fail(f"{masked_url(access.redis)}: {fault}; {self.remedy(fault)}")

    def remedy(self, fault: Exception) -> str:
        """What to look at when Redis does not do what it should."""
        tls = self.access.redis != "embedded" and self.access.url.tls
        return remedy_of(fault, tls) or "is that where the fleet keeps its ejections (--redis)?"


def keys_prefix(context: click.Context, redis_prefix: str, mesh_id: str | None) -> str:
    """The first part of the keys, as waypointd makes it of the same options in the same pod."""
    if context.get_parameter_source("redis_prefix") is ParameterSource.DEFAULT:
        mesh_id = mesh_id or told_by_istio(os.environ)
    return of_this_mesh(redis_prefix, mesh_id)


def fleet_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The settings of waypointd that say where Redis is and how to get in, as options."""
    for name in reversed(_NAMES):
        command = _option(name)(command)
    return command


def _option(name: str) -> Callable[[Any], Any]:
    setting, variable = SETTINGS[name], ENVIRONMENT_PREFIX + name.upper()
    return click.option(
        flag_name(name),
        name,
        metavar=setting.metavar,
        default=_DEFAULTS.get(name),
        show_default=name in _DEFAULTS,
        envvar=variable,
        help=f"{_HELP.get(name, setting.help)} (or {variable})",
        callback=checked(setting.kind),
    )
