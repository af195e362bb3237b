from typing import Literal, TypedDict

Framing = Literal["none", "length", "chunked", "until close"]

RESULTS: dict[int, str]

class Refused(Exception):
    result: str
    fault: str
    def __init__(self, result: str, fault: str) -> None: ...

class HeadView(TypedDict):
    size: int
    fields_at: int
    minor: int
    method: bytes
    known_method: int
    target: bytes
    authority: bytes
    path: bytes
    absolute_form: bool
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    kinds: list[str]
    line_ends: list[int]
    framing: Framing
    content_length: int
    own_length: bool
    bare_lf: bool
    close: bool
    keep_alive: bool
    upgrade: bool
    expect_continue: bool
    te_trailers: bool
    grpc: bool
    grpc_status: int
    has_date: bool
    has_server: bool
    request_id: bytes
    forwarded_for: bytes
    forwarded_proto: bytes
    user_agent: bytes
    upgrade_to: bytes

class Scanner:
    scanned: int
    def __init__(self, lenient: bool = False) -> None: ...
    def feed(self, piece: bytes) -> int | None: ...

class BodyReader:
    forwarded: bytearray
    rest: bytes
    done: bool
    data_bytes: int
    told: tuple[int, int]
    def __init__(
        self,
        framing: Framing,
        content_length: int = -1,
        lenient: bool = False,
        of_messages: bool = False,
        passing: bool = False,
    ) -> None: ...
    def feed(self, piece: bytes) -> None: ...
    def unframed(self, pieces: list[bytes]) -> tuple[bytes, bytes]: ...

def outcome_of_text(data: bytes, method: int = -1) -> HeadView | tuple[str, str]: ...
def request(data: bytes) -> HeadView: ...
def response(data: bytes, method: bytes = b"GET", http2: bool = False) -> HeadView: ...
def pass_request(data: bytes) -> tuple[bytes, bytes]: ...
def pass_response(data: bytes, method: bytes = b"GET") -> tuple[bytes, bytes]: ...
