"""Calls on several processors: in the order of their values, and never forked beside threads."""

import os
import signal
import subprocess
import sys
import threading

from watchd.cli.parallel import each


def _in_a_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_results_come_in_the_order_of_the_values() -> None:
    assert list(each(lambda value: value * 2, range(20))) == [value * 2 for value in range(20)]
    alone = _in_a_process("from watchd.cli.parallel import each; print(list(each(lambda value: value * 2, range(5))))")
    assert alone.strip() == "[0, 2, 4, 6, 8]"


def test_beside_another_thread_nothing_is_forked() -> None:
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    try:
        assert set(each(lambda _: os.getpid(), range(4))) == {os.getpid()}
    finally:
        ended.set()
        other.join()


def test_a_process_that_is_killed_is_an_error_and_no_wait_for_ever() -> None:
    code = (
        "import os\nfrom concurrent.futures.process import BrokenProcessPool\nfrom watchd.cli import parallel\n"
        "os.sched_getaffinity = lambda _: {0, 1}\n"
        f"def die(_): os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "try: list(parallel.each(die, [1, 2]))\nexcept BrokenProcessPool: print('told')"
    )
    assert _in_a_process(code).strip() == "told"
