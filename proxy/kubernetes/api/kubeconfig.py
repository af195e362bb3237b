"""kubeconfig files, as kubectl reads them: several may be given, and of what is in two of them the first wins."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from proxy.kubernetes.api.access import Access
from proxy.kubernetes.api.credentials import Anonymous, Certificate, Credentials, Password, Token, TokenFile
from proxy.kubernetes.api.faults import AccessFault
from proxy.kubernetes.api.plugin import VERSIONS, Plugin

Entry = Mapping[str, Any]


def paths(given: str, environ: Mapping[str, str]) -> list[str]:
    """The files to read: the one given, else those of $KUBECONFIG, else ~/.kube/config."""
    if given:
        return [given]
    named = [each for each in environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return named or [str(Path.home() / ".kube" / "config")]


def load(files: Sequence[str], context: str = "") -> Access:
    """The way to the server that `context`, or the current one, means. AccessFault names file and field."""
    found = _Files(files)
    name = context or found.current
    if not name:
        raise found.fault("current-context", "is not set; choose one with --context", found.names("contexts"))
    chosen = found.entry("contexts", name)
    cluster, user = found.entry("clusters", chosen.get("cluster")), chosen.get("user")
    return _access(found, cluster, found.entry("users", user) if user else {}, chosen.get("namespace") or "default")


class _Files:
    """What several files say together."""

    def __init__(self, files: Sequence[str]) -> None:
        self.origin = ", ".join(files)
        self.current = ""
        self._entries: dict[tuple[str, str], Entry] = {}
        read = 0
        for file in files:
            content = _read(file, missing_is_well=len(files) > 1)
            read += content is not None
            self._take(file, content or {})
        if not read:
            raise AccessFault(f"{self.origin}: no such file; give --kubeconfig FILE")

    def _take(self, file: str, content: Entry) -> None:
        self.current = self.current or content.get("current-context") or ""
        for section, field in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
            for each in content.get(section) or ():
                if not isinstance(each, dict) or not isinstance(each.get(field) or {}, dict):
                    raise AccessFault(f"{file}: {section}: every entry must have a name and a {field}")
                # Relative names of files are meant from where the kubeconfig stands.
                entry = dict(each.get(field) or {}, **{_FOLDER: os.path.dirname(os.path.abspath(file))})
                self._entries.setdefault((section, str(each.get("name"))), entry)

    def names(self, section: str) -> list[str]:
        return sorted(name for of, name in self._entries if of == section)

    def entry(self, section: str, name: object) -> Entry:
        found = self._entries.get((section, str(name)))
        if found is None:
            raise self.fault(section, f"there is none called {name}", self.names(section))
        return found

    def fault(self, field: str, text: str, known: Sequence[str] = ()) -> AccessFault:
        listed = f" (there is {', '.join(known)})" if known else ""
        return AccessFault(f"{self.origin}: {field}: {text}{listed}")


_FOLDER = "(folder)"


def _read(file: str, missing_is_well: bool) -> Entry | None:
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if missing_is_well:
            return None
        raise AccessFault(f"{file}: no such file; give --kubeconfig FILE") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise AccessFault(f"{file}: cannot be read: {fault}") from None
    if not isinstance(content, dict):
        raise AccessFault(f"{file}: is no kubeconfig: it must be a mapping with clusters, users and contexts")
    return content


def _access(found: _Files, cluster: Entry, user: Entry, namespace: str) -> Access:
    server = urlsplit(str(cluster.get("server") or ""))
    if server.scheme not in ("https", "http") or not server.hostname:
        raise found.fault("clusters.server", f"must be https://HOST:PORT, not {cluster.get('server')!r}")
    if cluster.get("proxy-url"):
        raise found.fault("clusters.proxy-url", "a proxy on the way to the API server is not supported")
    asked = {"Impersonate-User": user.get("as"), "Impersonate-Uid": user.get("as-uid")}
    headers = [(name, str(value)) for name, value in asked.items() if value]
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    return Access(
        host=server.hostname,
        port=server.port or (443 if server.scheme == "https" else 80),
        prefix=server.path.rstrip("/"),
        secure=server.scheme == "https",
        ca_file=_path(cluster, "certificate-authority"),
        ca_data=_data(found, cluster, "certificate-authority-data"),
        server_name=str(cluster.get("tls-server-name") or ""),
        verify=not cluster.get("insecure-skip-tls-verify"),
        credentials=_credentials(found, user),
        impersonate=tuple(headers),
        namespace=namespace,
        origin=found.origin,
    )


def _credentials(found: _Files, user: Entry) -> Credentials:
    if "auth-provider" in user:
        raise found.fault("users.auth-provider", "was removed from Kubernetes; use the exec plugin of your cloud")
    if "exec" in user:
        return _plugin(found, user["exec"])
    if user.get("tokenFile"):
        return TokenFile(Path(_path(user, "tokenFile")))
    if user.get("token"):
        return Token(str(user["token"]))
    if user.get("username"):
        return Password(str(user["username"]), str(user.get("password") or ""))
    files = _path(user, "client-certificate"), _path(user, "client-key")
    data = _data(found, user, "client-certificate-data"), _data(found, user, "client-key-data")
    if bool(files[0] or data[0]) != bool(files[1] or data[1]):
        raise found.fault("users", "client-certificate and client-key are needed together")
    # One of the two may be a file and the other text.
    return Anonymous(Certificate(*files, *data) if any((*files, *data)) else None)


def _plugin(found: _Files, given: Any) -> Plugin:
    version, command = (given.get("apiVersion"), given.get("command")) if isinstance(given, dict) else (None, None)
    if version not in VERSIONS:
        raise found.fault("users.exec.apiVersion", f"must be one of {', '.join(VERSIONS)}, not {version!r}")
    if not command:
        raise found.fault("users.exec.command", "is missing")
    environment = {str(each.get("name")): str(each.get("value")) for each in given.get("env") or ()}
    arguments = [str(each) for each in given.get("args") or ()]
    return Plugin(str(command), arguments, environment, version, str(given.get("installHint") or ""))


def _path(entry: Entry, field: str) -> str:
    """A file that the entry names, seen from its kubeconfig."""
    named = entry.get(field)
    return os.path.join(entry[_FOLDER], str(named)) if named else ""


def _data(found: _Files, entry: Entry, field: str) -> str:
    try:
        return base64.b64decode(entry.get(field) or "", validate=True).decode("ascii")
    except (ValueError, TypeError) as fault:
        raise found.fault(field, f"is not base64: {fault}") from None
