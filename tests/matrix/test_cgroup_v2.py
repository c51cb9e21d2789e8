"""The collector on a kernel that has cgroup v2 and nothing else.

This machine's kernel may have either version, and its tests are run on it as they are. Here they are run once more, in
User Mode Linux.
"""

import re
import sys

import pytest

from tests.harness import install, rootfs, uml

# The files that have tests marked `kernel`: each one that is read at all takes time there.
COLLECTOR_TESTS = (
    "tests/engine/metrics/test_truth.py",
    "tests/engine/metrics/test_lifecycle.py",
    "tests/engine/metrics/test_sources.py",
    "tests/unit/kernel/test_real_cgroup.py",
)


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_collector_on_cgroup_v2() -> None:
    try:
        uml.ensure()
    except install.UnavailableError as error:
        pytest.skip(str(error))
    rootfs.busybox()  # inside it could not be kept

    # Nothing of the environment gets inside, so PYTEST_ADDOPTS, which may name this very file, does not either.
    # With CI set, a test that is skipped there fails.
    pytest_there = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-m", "kernel"]
    finished = uml.run(["env", "CI=true", *pytest_there, *COLLECTOR_TESTS], seconds=600)

    assert finished.exit_code == 0, finished.output
    assert re.search(r"=== \d+ passed", finished.output), finished.output
