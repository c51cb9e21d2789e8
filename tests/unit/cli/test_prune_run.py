"""The output of `watchd prune --quiet`."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.unit.cleanup.builders import EXITED, UNUSED, cleanup, container, image, plan, view
from watchd.cleanup.plan.plan import Outcome
from watchd.cleanup.run.planning import Prepared
from watchd.cleanup.run.run import RunResult
from watchd.cli.prune_run import Options, PruneRun

POLICIES = cleanup(EXITED, {**UNUSED, "mode": "report"}, protect={"images": ["nothing"]})


@pytest.fixture
def prepared() -> Prepared:
    look = view(container("a"), container("b"), image("unused"))
    return Prepared(look, POLICIES, {}, plan(look, POLICIES))


@pytest.fixture
def quiet() -> Iterator[PruneRun]:
    options = Options((), "watchd explain NAME", dry_run=False, as_json=False, yes=True, quiet=True)
    with closing(PruneRun(POLICIES, options, None)) as run:
        yield run


def finish(run: PruneRun, prepared: Prepared, *outcomes: Outcome) -> None:
    assert run.on_plan(prepared)
    items = prepared.plan.in_force
    for item, outcome in zip(items, outcomes, strict=True):
        run.on_outcome(item, outcome, "")
    run.show_result(RunResult(prepared, dict(zip((item.key for item in items), outcomes, strict=True))))


def test_quiet_prints_removals_and_failures_only(
    quiet: PruneRun, prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(quiet, prepared, Outcome.REMOVED, Outcome.FAILED)
    out, err = capsys.readouterr()
    assert [line.partition(" (")[0] for line in out.splitlines()[:-1]] == [
        "removed container b",
        "failed to remove container a",
    ]
    assert out.splitlines()[-1].startswith("Removed 1 container")
    assert err == ""


def test_quiet_prints_nothing_where_nothing_was_removed(
    quiet: PruneRun, prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(quiet, prepared, Outcome.ALREADY_GONE, Outcome.DEFERRED)
    assert capsys.readouterr() == ("", "")


def test_quiet_prints_nothing_where_nothing_goes(capsys: pytest.CaptureFixture[str], quiet: PruneRun) -> None:
    look = view(image("unused"))
    assert not quiet.on_plan(Prepared(look, POLICIES, {}, plan(look, POLICIES)))
    assert capsys.readouterr() == ("", "")


def test_quiet_tells_what_could_not_be_judged(capsys: pytest.CaptureFixture[str], quiet: PruneRun) -> None:
    look = view(failures={"image": "refused"})
    assert not quiet.on_plan(Prepared(look, POLICIES, {}, plan(look, POLICIES)))
    assert capsys.readouterr() == ("", "Note: images could not be judged, nor what rests on them: refused\n")


def test_a_dry_run_tells_what_matches_nothing(capsys: pytest.CaptureFixture[str], prepared: Prepared) -> None:
    options = Options((), "watchd explain NAME", dry_run=True, as_json=False, yes=False)
    settings = cleanup(EXITED, {**UNUSED, "select": {"tag": ["9"]}}, protect={"images": ["nothing"]})
    with closing(PruneRun(settings, options, None)) as run:
        run.on_plan(Prepared(prepared.view, settings, {}, plan(prepared.view, settings)))
    notes = capsys.readouterr().err
    assert 'Note: cleanup.protect.images: "nothing" matches no image\n' in notes
    assert "Note: policy unused selects 0 of 1 image\n" in notes
