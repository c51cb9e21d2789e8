"""Find and load the configuration; report all errors at once."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from watchd.config.docker_cli import cli_engine
from watchd.config.schema import ENVIRONMENT_PREFIX, Config, Environment, State
from watchd.config.validation_errors import DOUBLE_BRACKETS, overlooked, problem, suggest
from watchd.errors import ConfigError

DEFAULT_FILE = Path("/etc/watchd/config.toml")
FILE_VARIABLE = "WATCHD_CONFIG"


def find_file(named: Path | None) -> Path | None:
    """Return the file to load: from the flag or $WATCHD_CONFIG, else the system's file if it exists."""
    if named is not None:
        return named
    if variable := os.environ.get(FILE_VARIABLE):
        return Path(variable)
    try:
        return DEFAULT_FILE if DEFAULT_FILE.exists() else None
    except PermissionError:  # reading it reports the error
        return DEFAULT_FILE


def load(file: Path | None) -> Config:
    """Load the configuration from `file` (None: the defaults) and the environment.

    Raise `ConfigError` with all errors of both.
    """
    content = _read(file) if file is not None else {}
    environment = Environment(Config)()
    policies = _policies(environment, content)
    problems = [*_unknown_variables(), *_unknown_sections(content), *overlooked(policies)]
    source = ""
    try:
        if not _engine_host(environment, content) and (engine := cli_engine()) is not None:
            source = f" (from {engine.source})"
            _fill_in(content, "engine", engine.settings)
    except ConfigError as error:
        problems += error.problems
    try:
        config = Config(**{name: section for name, section in content.items() if name in Config.model_fields})
    except ValidationError as error:
        found = [problem(details, policies) for details in error.errors()]
        problems += [f"{text}{source}" if text.startswith("engine.") else text for text in found]
    else:
        if not problems:
            return config
    raise ConfigError(sorted(set(problems)))


def engine_source(file: Path | None) -> str:
    """Return the setting that names the engine, and one of the Docker command that is not used, for people.

    Raise `ConfigError` if the file cannot be read.
    """
    environment = bool(_engine_host(Environment(Config)()))
    content = _read(file) if file is not None else {}
    own = f"{ENVIRONMENT_PREFIX}ENGINE__HOST" if environment else str(file) if _engine_host(content) else ""
    try:
        engine = cli_engine()
    except ConfigError:
        engine = None
    if engine is None:
        return own or "the default"
    return f"{own}; {engine.source} is not used" if own else engine.source


def state_directory(file: Path | None) -> Path:
    """Return the state directory, even if the rest of the configuration has errors."""
    try:
        return load(file).state.resolve()
    except ConfigError:
        pass
    variable = os.environ.get(f"{ENVIRONMENT_PREFIX}STATE__DIRECTORY")
    if variable:
        return Path(variable)
    try:
        written = _read(file) if file is not None else {}
    except ConfigError:
        written = {}
    match written:
        case {"state": {"directory": str(directory)}}:
            return Path(directory)
    return State().resolve()


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode())
    except FileNotFoundError:
        raise ConfigError([f"{file}: there is no such file"]) from None
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{file}: is not UTF-8 text"]) from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError; also endless numbers or nesting
        advice = f": {DOUBLE_BRACKETS}" if "'policies'" in str(error) else ""
        raise ConfigError([f"{file}: is not TOML: {error}{advice}"]) from None


def _engine_host(*sources: dict[str, Any]) -> object:
    """Return the raw address of the engine in the first source that has one, None if none has."""
    for source in sources:
        match source:
            case {"engine": {"host": host}}:
                return host
    return None


def _fill_in(content: dict[str, Any], section: str, settings: Mapping[str, str]) -> None:
    """Add settings to a section that has none of these keys. A section that is no table is left to validation."""
    if isinstance(written := content.get(section, {}), dict):
        content[section] = {**settings, **written}


def _policies(*sources: dict[str, Any]) -> list[Any]:
    """Return the raw policies of the first source that has any."""
    for source in sources:
        match source:
            case {"cleanup": {"policies": list(policies)}}:
                return policies
    return []


def _unknown_sections(content: dict[str, Any]) -> Iterator[str]:
    """Yield an error for each unknown top-level key: pydantic-settings would take some for its own settings."""
    for name in content.keys() - Config.model_fields.keys():
        yield f"{name}: unknown key{suggest(name, list(Config.model_fields))}"


def _unknown_variables() -> Iterator[str]:
    """Yield an error for each variable with watchd's prefix and an unknown section.

    pydantic-settings ignores these silently; unknown keys of a section it reports.
    """
    sections = Config.model_fields
    for name in os.environ:
        if not name.upper().startswith(ENVIRONMENT_PREFIX) or name == FILE_VARIABLE:
            continue
        section, delimiter, rest = name[len(ENVIRONMENT_PREFIX) :].lower().partition("__")
        key, deeper, _ = rest.partition("__")
        if section not in sections:
            yield f"environment: {name}: unknown section {section!r}{suggest(section, list(sections))}"
        elif not delimiter:
            yield f"environment: {name}: has no key: write {ENVIRONMENT_PREFIX}{section.upper()}__KEY"
        elif deeper and not _has_keys(section, key):
            yield f"environment: {name}: {section}.{key} is not a table"


def _has_keys(section: str, key: str) -> bool:
    """Return whether the value of a key may be a table. Unknown keys are reported by pydantic."""
    settings: Any = Config.model_fields[section].annotation
    field = settings.model_fields.get(key)
    if field is None or get_origin(field.annotation) is dict:
        return True
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
