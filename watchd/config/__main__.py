"""`python -m watchd.config [FILE]`: check the configuration, and print it as JSON for `separate`."""

import json
import sys
from pathlib import Path
from typing import Any

from watchd import __version__
from watchd.config.load import checked
from watchd.errors import ConfigError


def main() -> None:
    """Print the settings, or their errors."""
    answer: dict[str, Any]
    try:
        answer = {"settings": checked(Path(sys.argv[1]) if sys.argv[1:] else None).model_dump(by_alias=True)}
    except ConfigError as error:
        answer = {"problems": error.problems}
    json.dump({"version": __version__, **answer}, sys.stdout, default=str)  # paths are text


if __name__ == "__main__":
    main()
