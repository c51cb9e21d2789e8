"""The environment as a source of settings: `WATCHD_SECTION__KEY`."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_origin, get_type_hints

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from watchd.config.file import FILE_VARIABLE
from watchd.config.schema.config import Config
from watchd.config.suggestions import suggest

PREFIX = "WATCHD_"


class NotJson(str):
    """Value of an environment variable that is not valid JSON."""

    __slots__ = ()


class Environment(EnvSettingsSource):
    """The environment as a source of settings. Invalid JSON is left to validation, which reports its full path."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Parse a list or a table written as JSON."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError):
            return NotJson(value)


class Settings(BaseSettings):
    """Base of the model of the whole configuration."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, whose content is passed to the constructor."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101 - pydantic always passes it
        return Environment(settings_cls), init_settings


def unknown_variables() -> Iterator[str]:
    """Yield an error for each variable with watchd's prefix and an unknown section.

    pydantic-settings ignores these silently; unknown keys of a section it reports.
    """
    sections = [field.name for field in fields(Config)]
    for name in os.environ:
        if not name.upper().startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        section, delimiter, rest = name[len(PREFIX) :].lower().partition("__")
        key, deeper, _ = rest.partition("__")
        if section not in sections:
            yield f"environment: {name}: unknown section {section!r}{suggest(section, sections)}"
        elif not delimiter:
            yield f"environment: {name}: has no key: write {PREFIX}{section.upper()}__KEY"
        elif deeper and not _has_keys(section, key):
            yield f"environment: {name}: {section}.{key} is not a table"


def _has_keys(section: str, key: str) -> bool:
    """Return whether the value of a key may be a table. Unknown keys are reported by pydantic."""
    keys = get_type_hints(get_type_hints(Config)[section])
    return key not in keys or is_dataclass(keys[key]) or get_origin(keys[key]) is Mapping
