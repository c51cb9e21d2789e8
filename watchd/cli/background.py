"""`python -m watchd.cli.background COMMAND ...`: a command that the daemon runs, which gives way to everything else."""

import os
from contextlib import suppress
from pathlib import Path

from watchd.cli import main, parallel

_NICE = 19
_OOM_SCORE = "1000"  # where memory runs out, this process is ended, not the daemon in whose cgroup it is


def run() -> None:
    """Run the command in one process, with the lowest priority."""
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    parallel.most_processes = 1
    main(prog_name="watchd")


if __name__ == "__main__":
    run()
