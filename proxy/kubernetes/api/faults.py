"""What can go wrong with the API server, each with an owner: the network, the server, our rights, our history."""

from __future__ import annotations

from collections.abc import Mapping

_GONE = 410
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_CONFLICT = 409


class AccessFault(Exception):
    """There is no way to the API server: where it is, or who we are, cannot be read. The text names file and field."""


class ApiFault(Exception):
    """A request did not succeed, and the same one may later. `retry_after_s`: what the server asked for, 0 for nothing.

    `status` is 0 when there was no answer.
    """

    def __init__(self, text: str, status: int = 0, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def gone(self) -> bool:
        """Whether the history that was asked for is no longer there: list again."""
        return self.status == _GONE

    @property
    def unauthorized(self) -> bool:
        """Whether the server does not know us (any more)."""
        return self.status == _UNAUTHORIZED

    @property
    def forbidden(self) -> bool:
        """Whether the server knows us, and we lack the right."""
        return self.status == _FORBIDDEN

    @property
    def not_found(self) -> bool:
        """Whether there is no such object, or no such resource."""
        return self.status == _NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Whether somebody else has changed the object meanwhile."""
        return self.status == _CONFLICT


def of_status(status: Mapping[str, object], code: int = 0, retry_after_s: float = 0.0) -> ApiFault:
    """The fault that a `Status` object (meta/v1) tells of; `code` is HTTP's, for one that does not say."""
    own = status.get("code")
    code = own if isinstance(own, int) else code
    message = status.get("message")
    said = message if isinstance(message, str) and message else str(status.get("reason") or "no reason given")
    return ApiFault(f"{code} {said[:500]}", code, retry_after_s)
