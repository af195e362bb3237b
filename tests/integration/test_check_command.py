"""`waypointd --check` as people type it: patterns, pipes, standard input, `-v`. Entry N11 of the outside's list."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "conf" / "demo"
SUMMARY = "Gateway httpbin/httpbin-waypoint: ports 8000 (HTTP); 1 clusters, 3 endpoints\n"
AS_ONE = "\n---\n".join(path.read_text() for path in sorted(DEMO.glob("*.yaml")))


def shell(command: str, text: str = "", cwd: Path = ROOT) -> tuple[int, str, str]:
    """What a command line gives, in bash; `waypointd` is ours."""
    ours = f'waypointd() {{ "{sys.executable}" "{ROOT}/bin/waypointd" "$@"; }}; '
    env = {name: value for name, value in os.environ.items() if not name.startswith("WAYPOINT_")}
    done = subprocess.run(
        ["bash", "-c", ours + command], input=text, capture_output=True, text=True, timeout=60, cwd=cwd, env=env,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "waypointd --check --manifests -",
        "waypointd --check --manifests /dev/stdin",
        "cat > m; waypointd --check --manifests <(cat m)",
        "cat > m; mkfifo p; (cat m > p &); waypointd --check --manifests p",
    ],
    ids=["-", "stdin", "substitution", "fifo"],
)
def test_manifests_from_a_pipe(command: str, tmp_path: Path) -> None:
    assert shell(command, AS_ONE, tmp_path) == (0, SUMMARY, "")


def test_several_pipes_and_files() -> None:
    status, text, _ = shell("waypointd --check --manifests <(cat conf/demo/[a-m]*) --manifests conf/demo/none.yaml -")
    assert status == 1
    assert "none.yaml: no such file or directory" in text and "/dev/fd/" in text, "demo files have no --- between them"


@pytest.mark.parametrize("pattern", ["{0}/*.yaml", "'{0}/*.yaml'"], ids=["the shell's", "ours"])
def test_manifests_by_a_pattern(pattern: str) -> None:
    assert shell(f"waypointd --check --manifests {pattern.format(DEMO)}") == (0, SUMMARY, "")


def test_what_a_pipe_says_is_named_by_where_it_came_from() -> None:
    status, text, _ = shell("waypointd --check --manifests -", "kind: Service\n")
    assert status == 1
    assert "fault: standard input:1: " in text


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("waypointd --manifests - < /dev/null", "--manifests -: a replica reads its manifests again and again"),
        ("waypointd --manifests <(cat /dev/null)", "this can be read once: save it as a file, or use it with --check"),
        ("waypointd --manifests /dev/stdin < README.md", "--manifests /dev/stdin: a replica reads"),
        ("waypointd conf/demo --check", "unexpected argument conf/demo: manifests are given as --manifests conf/demo"),
        ("waypointd -v --manifests conf/demo", "--verbose goes with --check"),
    ],
)
def test_what_cannot_be_is_bad_usage(command: str, said: str) -> None:
    status, _, errors = shell(command)
    assert status == 2
    assert said in errors


def test_a_gateway_that_is_not_there_is_a_fault() -> None:
    status, text, _ = shell("waypointd --check --manifests conf/demo --gateway nosuch/x")
    assert status == 1
    assert "--gateway: no Gateway nosuch/x among the manifests; there is httpbin/httpbin-waypoint" in text


def test_a_directory_of_which_nothing_is_read_says_so(tmp_path: Path) -> None:
    for name in ("a.txt", "b.YAML"):
        (tmp_path / name).write_text(AS_ONE)
    (tmp_path / "deeper").mkdir()
    status, text, _ = shell(f"waypointd --check --manifests {tmp_path}")
    assert status == 0
    assert f"warning: {tmp_path}: no manifest is read from it: none is called *.yaml, *.yml or *.json" in text
    assert "(there are a.txt, b.YAML, deeper); directories in it are not read: name them" in text
    assert f"warning: {tmp_path}/b.YAML: is not read: its name has to end in .yaml, in small letters" in text


MESHED = Path(__file__).parent / "meshed"
WHOLE = "\n---\n".join(path.read_text() for path in sorted(MESHED.glob("*.yaml")))
READY = "conditions: {ready: true}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certs")
    command = [sys.executable, str(ROOT / "bin" / "waypointctl"), "dev-certs", str(directory)]
    subprocess.run([*command, "--identity", "httpbin/httpbin-waypoint"], check=True, capture_output=True, timeout=60)
    return directory / "httpbin" / "httpbin-waypoint"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("", "", "", id="as it stands"),
        pytest.param("  clusterIP: 10.96.45.123\n", "", "spec.clusterIP: has no clusterIP", id="F28"),
        pytest.param(READY, "conditions: {ready: false}", "3 endpoints found, none of them ready", id="F31"),
        pytest.param("endpoints:", "endpoint:", 'endpoint: is not a known field (did you mean "endpoints"?)', id="F32"),
        pytest.param(
            "use-waypoint: httpbin-waypoint",
            "use-waypoint: waypoint",
            "Service httpbin/in-ambient names waypoint httpbin/waypoint",
            id="F38",
        ),
        pytest.param("kind: Namespace", "kind: ConfigMap", "Namespace httpbin not among the manifests", id="F39"),
        pytest.param(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: in-ambient-x7k2p",
            "apiVersion: v1\nkind: Endpoints\nmetadata:\n  name: in-ambient",
            "has no EndpointSlice (Endpoints are not read)",
            id="F40",
        ),
        pytest.param("  serviceAccountName:", "  serviceAccountNam:", '(did you mean "serviceAccountName"?)', id="N22"),
    ],
)
def test_a_captured_mesh_with_one_change(certificates: Path, old: str, new: str, said: str) -> None:
    assert old in WHOLE
    status, text, errors = shell(
        f"waypointd --check --tls-dir {certificates} --manifests -", WHOLE.replace(old, new) if old else WHOLE
    )
    assert (status, errors) == (0, "")
    warnings = [line for line in text.splitlines() if line.startswith("warning: ")]
    assert any(said in each for each in warnings) if said else warnings == []


def test_verbose_says_which_rule_is_in_force_and_how_endpoints_are_reached() -> None:
    status, text, errors = shell("waypointd --check -v --manifests conf/demo")
    assert (status, errors) == (0, "")
    summary, cluster, rule, outlier, pool, annotations = text.splitlines()
    assert summary + "\n" == SUMMARY
    assert cluster.startswith("httpbin/in-ambient:8000 (http): 3 endpoints: 3 in plain TCP (127.10.0.15:8080, ")
    assert (
        "  DestinationRule httpbin/in-ambient-failover (conf/demo/destination-rule.yaml:3), spec.trafficPolicy: "
        in rule
    )
    assert "outlierDetection: consecutive5xxErrors 3 (line 12), interval 10s (line 13)" in outlier
    assert pool.strip() == "connectionPool: tcp.connectTimeout 1s (default)"
    assert annotations.strip().startswith("annotations: abandoned-request-timeout 1s (default), ")


def test_verbose_tells_of_clusters_beside_a_fault_of_the_certificates() -> None:
    status, text, _ = shell("waypointd --check -v --manifests tests/integration/meshed")
    assert status == 1
    assert (
        "HBONE needs certificates" in text
        and "3 captured, and for want of --tls-dir or --ca in plain TCP all the same" in text
    )
