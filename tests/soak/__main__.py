"""`python -m tests.soak [--minutes N]`."""

import argparse
import random
import signal
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.harness import images, install
from tests.harness.engine import Engine, new_directory
from tests.soak.compare import soak


def main() -> None:
    """Soak, tell, and fail where anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311 - no secret
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the engine is stopped
    install.ensure_engine()
    print(f"{arguments.minutes:g} minutes, seed {arguments.seed}", flush=True)
    with Engine.start(new_directory()) as engine, tempfile.TemporaryDirectory() as directory:
        with closing(engine.client()) as client:
            images.load_base(client)
        result = soak(engine, Path(directory), minutes=arguments.minutes, seed=arguments.seed)
    for line in result.lines:
        print(line)
    print("lost: " + ("; ".join(result.lost) or "nothing"))
    sys.exit(1 if result.lost else 0)


if __name__ == "__main__":
    main()
