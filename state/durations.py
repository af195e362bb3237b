"""Durations in texts that people read: `30s`, `1.5s`, `500ms`, seconds as Istio's users write them. Pure."""

from state.constants import ENDLESS_MS


def written(ms: int) -> str:
    """ "forever" for what a hand has given no end."""
    if ms >= ENDLESS_MS:
        return "forever"
    if ms % 1000 and ms < 1000:
        return f"{ms}ms"
    return f"{ms / 1000:g}s" if ms % 1000 else f"{ms // 1000}s"


def milliseconds(text: str) -> int:
    """What `written` wrote, of anything that ends. Raises ValueError for other texts."""
    return int(text[:-2]) if text.endswith("ms") else round(1000 * float(text.removesuffix("s")))
