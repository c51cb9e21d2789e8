"""Configuration: a TOML file, overridden by `WATCHD_SECTION__KEY` variables, overridden by flags.

All errors are reported at once as a `ConfigError`, each with the full path of its key. `load` checks it in this
process, `separate` in another one; both give the plain values of `schema`, where a key is added.
"""

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
]
