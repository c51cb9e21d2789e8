"""Find the file, read it and the environment, and tell all that is wrong at once."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from watchd.config.problems import overlooked, problem, suggest
from watchd.config.schema import ENVIRONMENT_PREFIX, Config, Environment, State
from watchd.errors import ConfigError

DEFAULT_FILE = Path("/etc/watchd/config.toml")
FILE_VARIABLE = "WATCHD_CONFIG"


def find_file(named: Path | None) -> Path | None:
    """Return the file to load: the one named by flag or by $WATCHD_CONFIG, else the system's if it exists."""
    if named is not None:
        return named
    if variable := os.environ.get(FILE_VARIABLE):
        return Path(variable)
    try:
        return DEFAULT_FILE if DEFAULT_FILE.exists() else None
    except PermissionError:  # whether it exists cannot be seen: reading it will say so
        return DEFAULT_FILE


def load(file: Path | None) -> Config:
    """Return the configuration in `file` (none: the defaults) and the environment.

    Raise `ConfigError` with everything that is wrong with both.
    """
    content = _read(file) if file is not None else {}
    policies = _policies(Environment(Config)(), content)
    problems = [*_unknown_variables(), *_unknown_sections(content), *overlooked(policies)]
    try:
        config = Config(**{name: section for name, section in content.items() if name in Config.model_fields})
    except ValidationError as error:
        problems += [problem(details, policies) for details in error.errors()]
    else:
        if not problems:
            return config
    raise ConfigError(sorted(set(problems)))


def state_directory(file: Path | None) -> Path:
    """Return where the state is, as far as can be told: also where the configuration cannot be used by now."""
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
    except (ValueError, RecursionError) as error:  # besides its own error: a number or a nesting without end
        raise ConfigError([f"{file}: is not TOML: {error}"]) from None


def _policies(*sources: dict[str, Any]) -> list[Any]:
    """Return the policies as they are written, in the first source that has any."""
    for source in sources:
        match source:
            case {"cleanup": {"policies": list(policies)}}:
                return policies
    return []


def _unknown_sections(content: dict[str, Any]) -> Iterator[str]:
    """Yield a problem for each key outside of sections: pydantic-settings takes some for settings of its own."""
    for name in content.keys() - Config.model_fields.keys():
        yield f"{name}: unknown key{suggest(name, list(Config.model_fields))}"


def _unknown_variables() -> Iterator[str]:
    """Yield a problem for each variable with watchd's prefix whose section there is none of.

    pydantic-settings ignores these in silence; a key that a section does not have it does report.
    """
    sections = Config.model_fields
    for name in os.environ:
        if not name.upper().startswith(ENVIRONMENT_PREFIX) or name == FILE_VARIABLE:
            continue
        section, delimiter, rest = name[len(ENVIRONMENT_PREFIX) :].lower().partition("__")
        key, deeper, _ = rest.partition("__")
        if section not in sections:
            yield f"environment: {name}: there is no section {section!r}{suggest(section, list(sections))}"
        elif not delimiter:
            yield f"environment: {name}: name a key too, like {ENVIRONMENT_PREFIX}{section.upper()}__KEY"
        elif deeper and not _has_keys(section, key):
            yield f"environment: {name}: {section}.{key} has no keys of its own"


def _has_keys(section: str, key: str) -> bool:
    """Return whether what a section has under a key may be a table. Of an unknown key pydantic tells."""
    settings: Any = Config.model_fields[section].annotation
    field = settings.model_fields.get(key)
    if field is None or get_origin(field.annotation) is dict:
        return True
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
