class Timeouts:
    def __init__(
        self,
        *,
        idle_timeout: float,
        request_headers_timeout: float,
        stream_idle_timeout: float,
        protocol_detection_timeout: float,
        endpoint_idle_timeout: float,
    ) -> None: ...
    def end_idle(self) -> None: ...
