"""Numbers that are returned in place of a size: whoever gets one knows from it alone who says what."""

from tests.instruments import inspect, inspect_http2


def test_what_streams_say_is_nothing_that_the_parser_says() -> None:
    """But for an answer that is malformed, which is the same thing, whoever reads it."""
    assert {inspect.RESULTS[each] for each in inspect_http2.IO & set(inspect.RESULTS)} == {"bad"}


def test_what_the_parser_refuses_is_no_size_and_no_exception() -> None:
    assert all(-100 < result < 0 for result in inspect.RESULTS)
    assert -100 in inspect_http2.IO
