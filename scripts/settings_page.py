"""Prints docs/settings.md from the settings themselves: `python scripts/settings_page.py > docs/settings.md`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from proxy.settings.setting import Setting
from proxy.settings.settings import ENVIRONMENT_PREFIX, SETTINGS, flag_name

HEAD = f"""# Settings

Written from `proxy/settings/settings.py` by `scripts/settings_page.py`; a test keeps it current.

Every setting can be given as a flag, as an environment variable (`{ENVIRONMENT_PREFIX}` and the key in capitals) and as
a key of the YAML file named with `-c` or `{ENVIRONMENT_PREFIX}CONFIG`. A flag wins over the environment, that over the
file. Several manifests stand in a variable with `:` between them; a variable that begins so and is no setting is
warned about. Everything that is wrong is told at once, and the exit status is 2. Times are seconds, or numbers with
units: `500ms`, `20s`, `5m`, `1h30m`. (In Kubernetes objects they are Istio's, always with a unit.)

| key | flag | default | what |
|---|---|---|---|"""

TAIL = """
Not settings: `-c FILE`, `--check` (say everything that is wrong with settings and manifests, start nothing; exit status
0 or 1), `-v` with it (each cluster, its rule and how it is reached), `--version`, `--help`. Paths that follow
`--manifests PATH` are manifests too: the shell makes such of `manifests/*.yaml`."""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(row(key, setting) for key, setting in SETTINGS.items()), TAIL, ""])


def row(key: str, setting: Setting) -> str:
    """One setting as a row of the table."""
    flag = " ".join(part for part in (flag_name(key), setting.metavar.replace("|", "\\|")) if part)
    flags = f"`{setting.short}`, `{flag}`" if setting.short else f"`{flag}`"
    return f"| `{key}` | {flags} | {setting.shown_default or 'none'} | {setting.help} |"


if __name__ == "__main__":
    print(page(), end="")
