"""Kinds of objects, and the key of each object."""

from typing import Literal

Kind = Literal["container", "image", "network", "volume", "build_cache"]  # in the order of removal

Key = tuple[Kind, str]  # unique key of an object: its kind and ID
