"""Paths in the form in which they are compared and forwarded: here, and in Envoy 1.40 as istiod has it for each of the
four ways (meshConfig.pathNormalization)."""

import random
import re
from collections.abc import Iterator

import pytest

from tests.hbone.envoy import Json, running
from tests.instruments.inspect_access import normalised
from tests.integration.http_rig import Client
from tests.reference.paths import MODES
from tests.rig import free_port
from tests.unit.policy.test_paths import REFUSED, ROWS

pytestmark = pytest.mark.slow

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
MANAGER = f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager"
PIECES = ("/", "//", ".", "..", "%2e", "%2E", "\\", "%61", "%2f", "%41", "%7e", "%zz", "%", "a", "B", "%20", "%3f")


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory, mode: str) -> Iterator[int]:
    """Its port."""
    port = free_port()
    with running(tmp_path_factory.mktemp("paths"), "paths", _configuration(port, mode)):
        yield port


def _configuration(port: int, mode: str) -> Json:
    """It answers everything itself, and says which path it has taken it for."""
    told = {"header": {"key": "x-path", "value": "%REQ(:PATH)%"}}
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "response_headers_to_add": [told]}
    manager = {
        "@type": MANAGER,
        "stat_prefix": "paths",
        "normalize_path": mode != "NONE",
        "merge_slashes": "MERGE" in mode,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD" if "DECODE" in mode else "KEEP_UNCHANGED",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{EXTENSIONS}.http.router.v3.Router"}},
        ],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"static_resources": {"listeners": [{"name": "http", "address": address, "filter_chains": [chain]}]}}


def taken(envoy: int, path: str) -> str | None:
    """None: it is refused."""
    with Client(envoy) as client:
        head, _ = client.ask("a", path)
    return head["x-path"] if head.status == 200 else None


@pytest.mark.parametrize("path", [path for path, _ in ROWS.values() if path.startswith("/")])
def test_N_the_rows(envoy: int, path: str, mode: str) -> None:
    assert (normalised(path.encode(), MODES.index(mode)) or b"").decode() == taken(envoy, path)


def test_any_path_that_is_not_refused_here(envoy: int, mode: str) -> None:
    draw = random.Random(4)
    paths = ["/" + "".join(draw.choices(PIECES, k=draw.randint(1, 7))) for _ in range(500)]
    found = {
        path: ours.decode() for path in paths if (ours := normalised(path.encode(), MODES.index(mode))) is not None
    }
    assert len(found) > 400
    theirs = {path: taken(envoy, path) or "" for path in found}
    if "MERGE" in mode:  # of a path of slashes alone Envoy leaves two
        theirs = {path: re.sub(r"^//(?=\?|$)", "/", text) for path, text in theirs.items()}
    assert theirs == found


def test_what_is_refused_here_alone(envoy: int, mode: str) -> None:
    """Envoy makes an escaped percent sign of one that would become an escape, and leaves overlong UTF-8 alone."""
    if mode != "BASE":
        pytest.skip("of one way is enough")
    assert {path: taken(envoy, path) for path in REFUSED} == {
        "/%00": None,
        "/a%5cb": "/a%5cb",
        "/a%5C..%5Cb": "/a%5C..%5Cb",
        "/%%361": "/%2561",
        "/%6%31": "/%2561",
        "/%%36%31": "/%2561",
        **{path: path for path in REFUSED if path.lower().startswith(("/%c", "/x/%c", "/%e", "/%f"))},
    }
