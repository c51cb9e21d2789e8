"""Engine of the Docker command: `$DOCKER_HOST`, else its current context (`docker context ls`)."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchd.errors import ConfigError

_TLS_FILES = {"tls_ca": "ca.pem", "tls_cert": "cert.pem", "tls_key": "key.pem"}
_ADVICE = "set [engine] host, or choose another context (`docker context ls`)"


@dataclass(frozen=True)
class CliEngine:
    """An engine, and the setting that names it. `settings` are those of [engine]."""

    source: str
    settings: dict[str, str]


def cli_engine() -> CliEngine | None:
    """Return the engine that the Docker command uses, None for its default.

    Raise `ConfigError` for a context that is not there.
    """
    if host := os.environ.get("DOCKER_HOST"):
        return CliEngine("$DOCKER_HOST", {"host": host, **_tls_of_environment(host)})
    directory = _directory()
    if directory is None:
        return None
    variable = os.environ.get("DOCKER_CONTEXT")
    name = variable or _read(directory / "config.json").get("currentContext")
    if not isinstance(name, str) or name in ("", "default"):
        return None
    source = f"the Docker context {name} of {'$DOCKER_CONTEXT' if variable else directory / 'config.json'}"
    return CliEngine(source, _settings_of_context(directory, name, source))


def _directory() -> Path | None:
    """Return the directory of the Docker command's settings, None for a user without a home."""
    if configured := os.environ.get("DOCKER_CONFIG"):
        return Path(configured)
    try:
        return Path.home() / ".docker"
    except RuntimeError:
        return None


def _tls_of_environment(host: str) -> dict[str, str]:
    """Return the TLS files. Docker's own rule: any value of `$DOCKER_TLS_VERIFY` switches TLS on."""
    if host.startswith("unix://") or not os.environ.get("DOCKER_TLS_VERIFY"):
        return {}
    directory = Path(os.environ.get("DOCKER_CERT_PATH") or _directory() or "/")
    return {key: str(directory / name) for key, name in _TLS_FILES.items()}


def _settings_of_context(directory: Path, name: str, source: str) -> dict[str, str]:
    """Return the settings of a context's metadata and TLS files."""
    hashed = hashlib.sha256(name.encode()).hexdigest()
    match _read(directory / "contexts/meta" / hashed / "meta.json"):
        case {"Endpoints": {"docker": {"Host": str(host)}}}:
            tls = directory / "contexts/tls" / hashed / "docker"
            found = {key: str(tls / file) for key, file in _TLS_FILES.items() if (tls / file).exists()}
            return {"host": host, **found}
    raise ConfigError([f"engine.host: {source} has no engine address: {_ADVICE}"])


def _read(file: Path) -> dict[str, Any]:
    """Return the JSON of a file, empty if it cannot be read: the Docker command goes on without it, too."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
