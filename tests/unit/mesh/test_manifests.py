"""Reading YAML and JSON: lines, Lists, and everything that can be wrong before a kind matters."""

from __future__ import annotations

import time

import pytest

from proxy.mesh.reading.documents import Documents
from proxy.mesh.reading.lines import Path, path_text
from proxy.mesh.reading.manifests import Document, Manifest
from proxy.mesh.reading.objects import Objects
from proxy.mesh.reading.remarks import Key
from proxy.mesh.reading.tree import MAX_DEPTH, read

SERVICE = """\
# a comment
apiVersion: v1
kind: Service
metadata:
  name: cart
  labels:
    istio.io/use-waypoint: wp
spec:
  ports:
    - port: 80
      name: http
    - name: other

      port: 81
"""


POD = "apiVersion: v1\nkind: Pod\n"
SVC = "apiVersion: v1\nkind: Service\n"


def read_objects(*texts: str) -> Objects:
    """The objects of f.yaml, g.yaml, h.yaml, as they are written: no kind has a reader."""
    objects = Objects()
    documents = (Document(f"{name}.yaml", text) for name, text in zip("fgh", texts, strict=False))
    for path, placed in Documents({}).changes(documents):
        objects.put(path, placed)
    return objects


def begins(objects: Objects, kind: str) -> list[tuple[str, int]]:
    """Names and lines."""
    return [(site.key.id, site.line) for site in objects.sites(kind)]


def told(text: str) -> list[str]:
    return [str(fault) for fault in read_objects(text).faults()]


@pytest.mark.parametrize(
    ("field", "path", "line"),
    [
        ("kind", ("kind",), 3),
        ("metadata.name", ("metadata", "name"), 5),
        ("metadata.labels[istio.io/use-waypoint]", ("metadata", "labels", "istio.io/use-waypoint"), 7),
        ("spec", ("spec",), 8),
        ("spec.ports", ("spec", "ports"), 9),
        ("spec.ports[0]", ("spec", "ports", 0), 10),
        ("spec.ports[1].port", ("spec", "ports", 1, "port"), 14),
        ("spec.ports[1].missing", ("spec", "ports", 1, "missing"), 12),
        ("spec.ports[7].port", ("spec", "ports", 7, "port"), 9),
        ("nothing.at.all", ("nothing", "at", "all"), 2),
    ],
)
def test_every_field_has_its_line(field: str, path: Path, line: int) -> None:
    (tree,) = read(SERVICE)
    assert tree.lines.line_of(path) == line
    assert path_text(path) == field


def test_what_all_objects_have() -> None:
    objects = read_objects(SERVICE)
    assert objects.sites("Service") == [("f.yaml", 2, Key("Service", "default", "cart"))]
    (record,) = objects.of("Service")
    assert isinstance(record.value, Manifest)
    assert (record.value.id, record.value.namespace, record.value.name) == ("default/cart", "default", "cart")
    assert (record.value.labels, record.value.created) == ({"istio.io/use-waypoint": "wp"}, "")


def test_several_documents_and_empty_ones() -> None:
    text = f"---\n---\n{SERVICE}---\n# nothing\n---\n{SERVICE.replace('cart', 'till')}...\n"
    objects = read_objects(text, "", "# nothing\n")
    assert begins(objects, "Service") == [("default/cart", 4), ("default/till", 21)]
    assert not objects.faults()


def test_lists_are_taken_apart() -> None:
    text = """\
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: a}}
  - apiVersion: v1
    kind: List
    items: [{apiVersion: v1, kind: Namespace, metadata: {name: b}}]
---
{"apiVersion": "v1", "kind": "ServiceList", "items": [{"metadata": {"name": "c", "namespace": "a"}}]}
"""
    objects = read_objects(text)
    assert begins(objects, "Namespace") == [("a", 4), ("b", 7)]
    assert begins(objects, "Service") == [("a/c", 9)]
    assert not objects.faults()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [a\n", "f.yaml:2: not valid YAML: did not find expected ',' or ']'"),
        ("a: b: c\n", "f.yaml:1: not valid YAML: mapping values are not allowed"),
        pytest.param("\tkind: x\n", "f.yaml:1: not valid YAML: a tab: YAML is indented with blanks only", id="F41-N15"),
        ("metadata:\n\tname: x\n", "f.yaml:2: not valid YAML: a tab: YAML is indented with blanks only"),
        ("metadata:\n  a: 1\n  \tname: x\n", "f.yaml:3: not valid YAML: a tab: YAML is indented with blanks only"),
        ("a: \x01\n", "f.yaml:1: not valid YAML: control characters are not allowed"),
        ("just text\n", "f.yaml:1: a Kubernetes object must be a mapping"),
        ("- kind: Service\n", "f.yaml:1: a Kubernetes object must be a mapping"),
        ("apiVersion: v1\n", "f.yaml:1: kind: is missing"),
        ("apiVersion: v1\nkind: 7\n", "f.yaml:2: kind: is missing, or not text"),
        ("kind: Service\nmetadata: {name: a}\n", "f.yaml:1: Service default/a: apiVersion: is missing"),
        ("apiVersion: v1\nkind: Service\n", "f.yaml:1: Service default/: metadata: is missing"),
        (f"{SVC}metadata: {{}}\n", "f.yaml:3: Service default/: metadata.name: is missing"),
        (f"{SVC}metadata: {{name: 7}}\n", "metadata.name: must be text (put quotes around it)"),
        (f"{SVC}metadata: {{name: a.b}}\n", "metadata.name: is not a name"),
        (f'{SVC}metadata: {{name: "a\\nb"}}\n', "metadata.name: is not a name"),
        (f"{SVC}metadata: {{name: a, namespace: A}}\n", "metadata.namespace: is not the name"),
        (f"{POD}metadata: {{name: a, labels: [b]}}\n", "metadata.labels: must be a mapping"),
        (f"{POD}metadata: {{name: a, labels: {{v: 1}}}}\n", "metadata.labels.v: must be text (put quotes"),
        (f"{POD}metadata: {{name: a, annotations: {{v: on}}}}\n", "metadata.annotations.v: must be text"),
        (f"{POD}metadata: {{name: a, creationTimestamp: now}}\n", "must be a time such as"),
        (
            "apiVersion: v2\nkind: Pod\nmetadata: {name: a}\n",
            "f.yaml:1: Pod default/a: apiVersion: v2 is not read by this",
        ),
        (
            "kind: Pod\nkind: Pod\napiVersion: v1\nmetadata: {name: a}\n",
            "f.yaml:2: Pod default/a: kind: given twice (first in line 1)",
        ),
        (
            "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  labels:\n    a.b/c: x\n    a.b/c: y\n",
            "f.yaml:7: Pod default/a: metadata.labels[a.b/c]: given twice (first in line 6)",
        ),
        (
            "kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: {? [a] : b}\n",
            "f.yaml:4: Pod default/a: spec: a key must be",
        ),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: !!python/object:os.system {}\n", "is not supported"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: !!binary YQ==\n", "is not supported"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: !!int x\n", "spec: not a value of int"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: " + "9" * 5000 + "\n", "spec: not a value of int"),
        ("a: *b\n", "f.yaml:1: the alias *b has no anchor before it"),
        ("a: &b [*b]\n", "f.yaml:1: the alias *b is inside what it stands for"),
        ("a: 1\n<<: 2\n", "f.yaml:2: << must be given a mapping"),
    ],
)
def test_what_is_wrong_and_where(text: str, said: str) -> None:
    assert said in "\n".join(told(text))


def test_surrogates_are_a_fault() -> None:
    assert told("a: \ud800\n") == ["f.yaml: not valid YAML: the text holds characters that are not Unicode"]


def test_the_same_object_twice_is_a_fault_that_names_the_first() -> None:
    other = SERVICE.replace("- port: 80", "- port: 90")
    objects = read_objects(SERVICE, other)
    said = "g.yaml:2: Service default/cart: given twice (first in f.yaml:2)"
    assert [str(fault) for fault in objects.faults()] == [said]


def test_the_same_object_twice_on_one_line_is_a_fault() -> None:
    one = '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}'
    said = told(f'{{"apiVersion": "v1", "kind": "List", "items": [{one}, {one}]}}')
    assert said == ["f.yaml:1: Namespace a: given twice (first in f.yaml:1)"]


def test_the_same_object_of_two_versions_is_the_same_object() -> None:
    text = "apiVersion: networking.istio.io/{}\nkind: DestinationRule\nmetadata: {{name: a}}\n"
    objects = read_objects(text.format("v1"), text.format("v1beta1"))
    assert len(objects.faults()) == 1


def test_what_comes_before_a_syntax_error_is_read() -> None:
    objects = read_objects(f"{SERVICE}---\nkind: [\n")
    assert len(list(objects.of("Service"))) == 1
    assert len(objects.faults()) == 1


def test_billion_laughs_are_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 30)]
    before = time.process_time()
    assert "aliases stand for more than 100000 values" in told("\n".join(lines))[0]
    assert time.process_time() - before < 1


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused(text: str) -> None:
    assert f"nested more than {MAX_DEPTH} levels deep" in told(text)[0]


def test_anchors_and_merge_keys_work() -> None:
    text = """\
labels: &common {app: cart, tier: shop}
both: [*common, *common]
merged:
  <<: *common
  tier: back
many:
  <<: [{a: 1}, {a: 2, b: 2}]
"""
    (tree,) = read(text)
    assert tree.value == {
        "labels": {"app": "cart", "tier": "shop"},
        "both": [{"app": "cart", "tier": "shop"}] * 2,
        "merged": {"tier": "back", "app": "cart"},
        "many": {"a": 1, "b": 2},
    }
    assert tree.lines.line_of(("merged", "app")) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8080", 8080),
        ("010", 8),
        ("0x1f", 31),
        ("1_000", 1000),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'8080'", "8080"),
        ("1:30", "1:30"),
        ("2025-03-11T19:45:12Z", "2025-03-11T19:45:12Z"),
        ("2025-03-11", "2025-03-11"),
        ("yes", True),
        ("off", False),
        ("true", True),
        ("~", None),
        ("", None),
        ("null", None),
        ("'~'", "~"),
        ("10s", "10s"),
        ("=", "="),
        (".inf", float("inf")),
        ("'1e3'", "1e3"),
        ("!!str 7", "7"),
        ("0o17", "0o17"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    (tree,) = read(f"a: {text}\n")
    assert tree.value == {"a": value}
    assert not tree.problems
