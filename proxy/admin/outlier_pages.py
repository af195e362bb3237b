"""The admin pages about ejections: what is out, what happened, why, and taking out and putting back by hand."""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.admin.pages import Action, Answer, Query, as_json, plain
from proxy.fleet.operator_door import OperatorDoor, Refused, StoreUnavailable

MOST = 1000
DOUBT = "; see whether it was done when Redis answers"


class OutlierPages:
    """`queries` and `actions` for the admin server."""

    def __init__(self, door: OperatorDoor) -> None:
        self._door = door
        self.queries: Mapping[str, Query] = {
            "/ejections": lambda _: _answer(door.ejections),
            "/history": lambda query: _answer(self._history, query),
            "/explain": lambda query: _answer(door.explain, query.get("cluster", ""), query.get("endpoint", "")),
        }
        self.actions: Mapping[str, Action] = {
            "/eject": lambda order: _answer(door.eject, order, doubt=DOUBT),
            "/uneject": lambda order: _answer(door.uneject, order, doubt=DOUBT),
        }

    def _history(self, query: Mapping[str, str]) -> Any:
        limit, since_ms = _number(query, "limit", 20), _number(query, "since_ms", 0)
        return self._door.history(
            query.get("cluster", ""), query.get("endpoint", ""), min(max(1, limit), MOST), since_ms
        )


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise Refused(f"{name}: must be a number")
    return int(text) if text else default


def _answer(ask: Callable[..., Any], *given: Any, doubt: str = "") -> Answer:
    try:
        return as_json(ask(*given))
    except Refused as fault:
        return plain(400, str(fault))
    except StoreUnavailable as fault:
        return plain(503, f"{fault}{doubt}")
