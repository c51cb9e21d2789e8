"""The configuration: a TOML file, then `WATCHD_SECTION__KEY` variables, then flags.

Everything that is wrong is told at once, each with the full path of its key, as a `ConfigError`.
"""

from watchd.config.load import find_file, load
from watchd.config.schema import (
    Cleanup,
    Config,
    ContainerClock,
    ContainerPolicy,
    ImageClock,
    ImagePolicy,
    Keep,
    Policy,
)
from watchd.config.values import Mode

__all__ = [
    "Cleanup",
    "Config",
    "ContainerClock",
    "ContainerPolicy",
    "ImageClock",
    "ImagePolicy",
    "Keep",
    "Mode",
    "Policy",
    "find_file",
    "load",
]
