from proxy.ipc.routing import RoutingForm

class Plan:
    def __init__(self, form: RoutingForm, claims: list[str] | None = None) -> None: ...
