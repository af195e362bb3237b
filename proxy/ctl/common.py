"""What the commands of waypointctl share: how an option's value is checked, and how one gives up."""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from proxy.ctl.words import printable
from proxy.settings.kinds import Kind


def checked(kind: Kind) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A click callback that reads a value as a setting of this kind; None stays None."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else kind(value)
        except ValueError as fault:
            raise click.BadParameter(str(fault)) from fault

    return callback


def fail(text: str, status: int = 1) -> NoReturn:
    """Say why on standard error and exit. Lines are our own, but names in them may be anybody's."""
    for line in f"waypointctl: {text}".split("\n"):
        print(printable(line), file=sys.stderr)
    sys.exit(status)
