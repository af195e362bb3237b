"""What an attempt says about its endpoint, on its way from the request path into the fleet's count. Pure."""

from dataclasses import dataclass

from state.outlier.run import FAILURE, LOCAL_FAILURE, SUCCESS, Run


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


def failed(status: int, request_id: str, cause: int, spoke: bool) -> Outcome:
    """A failure; `status` 0: the endpoint itself has not answered, which counts as of local origin."""
    return Outcome(FAILURE if status else LOCAL_FAILURE, status, request_id, cause or status, bool(status) or spoke)
