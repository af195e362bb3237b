from tests.instruments.inspect import HeadView

def filled(
    first: bytes, fields: list[tuple[bytes, bytes]], answer_to: int = -1
) -> tuple[HeadView | tuple[str, str], bytes, bool]: ...
