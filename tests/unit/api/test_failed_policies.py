"""Policies whose last run did not succeed, as `/api/v1/next` tells them."""

import json
from types import SimpleNamespace
from typing import Any

from tests.unit.cleanup.builders import EXITED, UNUSED_VOLUMES, cleanup
from watchd.api.endpoints import Api
from watchd.store.tables.rows import LastRun


def test_a_policy_whose_last_run_failed_is_told() -> None:
    exited, volumes = EXITED["name"], UNUSED_VOLUMES["name"]
    last_runs = {exited: LastRun(200.0, 100.0), volumes: LastRun(200.0, 200.0), "of before": LastRun(200.0, None)}
    unused: Any = None
    preview: Any = SimpleNamespace(cleanup=cleanup(EXITED, UNUSED_VOLUMES))
    api = Api(unused, unused, preview, next_run=lambda: None, last_runs=lambda: last_runs, disk_marks=unused)
    told = json.loads(api.routes["/api/v1/next"]({}).body)
    assert told["failed"] == [{"policy": exited, "ran_at": 200.0, "succeeded_at": 100.0}]
