"""Environment variables that look like settings of ours, and are none."""

import re
from collections.abc import Mapping

from proxy.settings.settings import ENVIRONMENT_PREFIX, SETTINGS, meant, variable

_OF_A_SERVICE = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")


def unknown_in(environ: Mapping[str, str]) -> list[str]:
    """What to say of each. Those that Kubernetes makes of a Service called waypoint are its own."""
    names = sorted(name for name in environ if name.startswith(ENVIRONMENT_PREFIX) and not _OF_A_SERVICE.search(name))
    keys = ((name, name.removeprefix(ENVIRONMENT_PREFIX).lower()) for name in names)
    return [f"{name}: no such setting{meant(key, variable)}" for name, key in keys if key not in {*SETTINGS, "config"}]
