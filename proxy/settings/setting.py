"""What one setting is declared with."""

from dataclasses import dataclass, field
from typing import Any

from proxy.settings.kinds import Kind


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is written and explained. `metavar` is empty for a switch."""

    kind: Kind
    help: str
    metavar: str
    short: str = ""
    shown_default: str = ""
    repeatable: bool = False


def declared(kind: Kind, default: Any, metavar: str, text: str, **more: Any) -> Any:
    """The field of a dataclass that is a setting; `more` is for `Setting`."""
    shown = more.pop(
        "shown_default",
        "" if default in (None, False, ()) else f"{default:g}" if isinstance(default, float) else str(default),
    )
    metadata = {"setting": Setting(kind, text, metavar, shown_default=shown, **more)}
    return (
        field(default_factory=default, metadata=metadata)
        if callable(default)
        else field(default=default, metadata=metadata)
    )
