"""Credentials from a program (`exec` of a kubeconfig; client.authentication.k8s.io v1 and v1beta1).

The program is run when there are no credentials, when they end, and after a 401; in between they are remembered.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxy.kubernetes.api.credentials import Certificate
from proxy.kubernetes.api.faults import AccessFault

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
PATIENCE_S = 60.0
"""How long a program may take: it may have to ask a cloud."""
BEFORE_END_S = 10.0


@dataclass(slots=True)
class _Given:
    token: str = ""
    certificate: Certificate | None = None
    ends: float = float("inf")  # seconds since the epoch


class Plugin:
    """A program that says who we are."""

    def __init__(
        self, command: str, arguments: Sequence[str], environment: Mapping[str, str], version: str, hint: str = ""
    ) -> None:
        self._command = [command, *arguments]
        self._environment = dict(environment)
        self._version = version
        self._hint = hint
        self._given: _Given | None = None

    def header(self) -> str:
        token = self._current().token
        return f"Bearer {token}" if token else ""

    def certificate(self) -> Certificate | None:
        return self._current().certificate

    def refused(self) -> None:
        """The next request runs the program again."""
        self._given = None

    def _current(self) -> _Given:
        if self._given is None or time.time() > self._given.ends - BEFORE_END_S:
            self._given = self._read(self._run())
        return self._given

    def _run(self) -> str:
        info = {"apiVersion": self._version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environment = os.environ | self._environment | {"KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            done = subprocess.run(
                self._command,
                env=environment,
                capture_output=True,
                check=False,
                timeout=PATIENCE_S,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            hint = f"; {self._hint}" if self._hint else ""
            raise AccessFault(f"the program {self._command[0]} cannot be run: {fault}{hint}") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-300:]
            raise AccessFault(f"the program {self._command[0]} ended with status {done.returncode}: {said}")
        return done.stdout.decode(errors="replace")

    def _read(self, text: str) -> _Given:
        try:
            found: Any = json.loads(text)
            status = found["status"]
            if found.get("apiVersion") != self._version:
                raise ValueError(f"apiVersion is {found.get('apiVersion')!r}, not {self._version}")
            chain, key = status.get("clientCertificateData", ""), status.get("clientKeyData", "")
            ends = status.get("expirationTimestamp")
            return _Given(
                str(status.get("token") or ""),
                Certificate(chain=chain, key=key) if chain else None,
                datetime.fromisoformat(ends.replace("Z", "+00:00")).timestamp() if ends else float("inf"),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise AccessFault(f"the program {self._command[0]} printed no ExecCredential: {fault}") from None
