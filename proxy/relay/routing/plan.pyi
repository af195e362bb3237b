from proxy.ipc.routing import RoutingForm

class Plan:
    claims: list[str]

    def __init__(self, form: RoutingForm, claims: list[str] | None = None) -> None: ...
