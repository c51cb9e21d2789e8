"""Load the configuration; report all errors at once. Imports pydantic: the daemon uses `separate` instead."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from watchd.config.docker_cli import cli_engine
from watchd.config.handover import build
from watchd.config.schema.config import Config
from watchd.config.suggestions import suggest
from watchd.config.validation.environment import PREFIX, Environment, unknown_variables
from watchd.config.validation.errors import DOUBLE_BRACKETS, overlooked, problem, sections_with
from watchd.config.validation.models import model_of
from watchd.errors import ConfigError

_SECTIONS = [field.name for field in fields(Config)]


def load(file: Path | None) -> Config:
    """Load the configuration from `file` (None: the defaults) and the environment.

    Raise `ConfigError` with all errors of both.
    """
    return build(Config, checked(file).model_dump(by_alias=True))


def checked(file: Path | None) -> BaseModel:
    """Return the model of the same, which can be written as TOML."""
    content = _read(file) if file is not None else {}
    environment = _environment()
    policies = _policies(environment, content)
    problems = [*unknown_variables(), *_unknown_sections(content), *overlooked(policies)]
    source = ""
    try:
        if not _engine_host(environment, content) and (engine := cli_engine()) is not None:
            source = f" (from {engine.source})"
            _fill_in(content, "engine", engine.settings)
    except ConfigError as error:
        problems += error.problems
    try:
        config = model_of(Config)(**{name: section for name, section in content.items() if name in _SECTIONS})
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
    environment = bool(_engine_host(_environment()))
    content = _read(file) if file is not None else {}
    own = f"{PREFIX}ENGINE__HOST" if environment else str(file) if _engine_host(content) else ""
    try:
        engine = cli_engine()
    except ConfigError:
        engine = None
    if engine is None:
        return own or "the default"
    return f"{own}; {engine.source} is not used" if own else engine.source


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


def _environment() -> dict[str, Any]:
    """Return the raw settings of the environment."""
    return Environment(model_of(Config))()  # type: ignore[arg-type] # it is one of pydantic-settings


def _unknown_sections(content: dict[str, Any]) -> Iterator[str]:
    """Yield an error for each unknown top-level key: pydantic-settings would take some for its own settings."""
    for name in content:
        if name not in _SECTIONS:
            sections = " or ".join(f"[{section}]" for section in sections_with(name))
            hint = f" (it belongs below {sections})" if sections else suggest(name, _SECTIONS)
            yield f"{name}: unknown key{hint}"
