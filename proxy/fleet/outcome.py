"""What an attempt says about its endpoint, on its way from the request path into the fleet's count. Pure."""

from dataclasses import dataclass

from state.outlier.run import (
    FAILURE,
    GATEWAY_ERRORS,
    LOCAL_FAILURE,
    LOST_ANSWER,
    SERVER_ERROR,
    SUCCESS,
    Run,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`cause` is a Cause of proxy/policy (a status is its own); `spoke`: the endpoint's side was there and said it."""

    run: Run
    status: int = 0
    request_id: str = ""
    cause: int = 0
    spoke: bool = False

    @property
    def blames_us(self) -> bool:
        """It may have been this replica's own network, or its certificate."""
        return self.run.local > 0 and not self.spoke


SUCCEEDED = Outcome(SUCCESS)


def failed(status: int, request_id: str, cause: int, spoke: bool, connected: bool = False) -> Outcome:
    """A failure; `status` 0: the endpoint itself has not answered, which counts as of local origin, `connected` though
    there was a connection to it."""
    if status:
        run = FAILURE if status in GATEWAY_ERRORS else SERVER_ERROR
    else:
        run = LOST_ANSWER if connected else LOCAL_FAILURE
    return Outcome(run, status, request_id, cause or status, bool(status) or spoke)
