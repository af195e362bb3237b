"""aiohttp as an endpoint."""

import sys

from aiohttp import web


async def okay(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text="ok")


async def no_content(_: web.Request) -> web.Response:
    return web.Response(status=204, text="hello")


async def odd(_: web.Request) -> web.Response:
    return web.Response(status=600, reason="Odd", text="ok")


async def stream(request: web.Request) -> web.StreamResponse:
    """To HEAD too."""
    response = web.StreamResponse()
    response.content_length = 5
    await response.prepare(request)
    await response.write(b"hello")
    return response


async def stream_204(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=204)
    await response.prepare(request)
    await response.write(b"hello")
    return response


if __name__ == "__main__":
    app = web.Application()
    for path, handler in (
        ("/", okay),
        ("/204", no_content),
        ("/600", odd),
        ("/stream", stream),
        ("/stream204", stream_204),
    ):
        app.router.add_route("*", path, handler)
    web.run_app(app, host=sys.argv[1], port=int(sys.argv[2]), print=None)
