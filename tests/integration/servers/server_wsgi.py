"""A WSGI application, for waitress and gunicorn, that returns a body whatever it was asked and whatever it answers."""

from collections.abc import Callable, Iterable
from typing import Any

ANSWERS = {
    "/": ("200 OK", b"ok", True),
    "/204": ("204 No Content", b"hello", True),
    "/204plain": ("204 No Content", b"hello", False),
    "/304": ("304 Not Modified", b"hello", True),
    "/600": ("600 Odd", b"ok", True),
    "/stream": ("200 OK", b"hello", False),
}


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    status, body, with_length = ANSWERS[environ["PATH_INFO"]]
    start_response(status, [("Content-Length", str(len(body)))] if with_length else [])
    return [body]
