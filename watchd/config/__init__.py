"""Configuration: a TOML file, overridden by `WATCHD_SECTION__KEY` variables, overridden by flags.

All errors are reported at once as a `ConfigError`, each with the full path of its key. `load` checks it in this
process, `separate` in another one; both give the plain values of `schema`, where a key is added.
"""

from watchd.config.schema.config import Cleanup, Config
from watchd.config.schema.keep import Keep
from watchd.config.schema.policies import (
    CachePolicy,
    Clock,
    ContainerPolicy,
    ImagePolicy,
    NetworkPolicy,
    Policy,
    VolumePolicy,
)
from watchd.config.schema.pressure import Pressure
from watchd.config.schema.values import Mode

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
