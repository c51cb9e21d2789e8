"""The configuration: a TOML file, then `WATCHD_SECTION__KEY` variables, then flags.

Everything that is wrong is told at once, each with the full path of its key, as a `ConfigError`.
"""

from watchd.config.load import find_file, load, state_directory
from watchd.config.policies import (
    CachePolicy,
    Clock,
    ContainerPolicy,
    ImagePolicy,
    Keep,
    NetworkPolicy,
    Policy,
    Pressure,
    VolumePolicy,
)
from watchd.config.schema import Cleanup, Config
from watchd.config.values import Mode

__all__ = [
    "CachePolicy",
    "Cleanup",
    "Clock",
    "Config",
    "ContainerPolicy",
    "ImagePolicy",
    "Keep",
    "Mode",
    "NetworkPolicy",
    "Policy",
    "Pressure",
    "VolumePolicy",
    "find_file",
    "load",
    "state_directory",
]
