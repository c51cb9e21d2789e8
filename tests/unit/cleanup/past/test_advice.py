"""Thresholds by evidence: what each would have freed, and what of it would have been regretted."""

import tomllib
from typing import Any

from tests.unit.cleanup.builders import DAY, HOUR, cleanup, policy
from tests.unit.cleanup.past.lives import BEGIN, layered, life, past, run
from tests.unit.settings import checked
from watchd.cleanup.past.advice import THRESHOLDS, Advice, advise
from watchd.cleanup.past.marks import advise_marks
from watchd.cleanup.past.record import Past
from watchd.cleanup.report.past.advice import advice_as_json, advice_report
from watchd.config import Cleanup
from watchd.model.history.timeline import DiskMark, Life

DAYS = 30
EACH = 1000  # bytes


def once(count: int) -> list[Life]:
    """Return images that are pulled one after the other, and never used again."""
    return [life(layered(f"once-{number}", EACH), HOUR + number * DAY / 8) for number in range(count)]


def again(*days: float) -> list[Life]:
    """Return an image with a run on each of these days."""
    runs = [run("again", at * DAY, at * DAY + 60, left=at * DAY + 120) for at in days]
    return [life(layered("again", EACH), 0), *runs]


def advised(record: Past, settings: Cleanup | None = None, **options: Any) -> Advice:
    """Return the advice for a record, with runs every 12 hours."""
    told = {"since": 0.0, "until": record.watched[-1][1], "kinds": ("image",), **options}
    return advise(record, settings or cleanup(schedule="12h"), **told)


def watched(*lives: Life, days: float = DAYS) -> Past:
    return past(*lives, watched=[(0, days * DAY)])


def test_the_smallest_threshold_without_regrets_is_recommended() -> None:
    record = watched(*once(60), *again(1, 4.9, 8.8))
    (of_images,) = advised(record).kinds
    regrets = {seconds / DAY: of.regrets for seconds, of in of_images.thresholds.items() if of is not None}
    assert [days for days, count in regrets.items() if count] == [1 / 24, 1 / 4, 1 / 2, 1, 2, 3]
    assert regrets[3.0] == 2
    assert of_images.recommended is not None
    assert of_images.recommended.seconds == 5 * DAY
    (of_images,) = advised(record, most_regrets=2).kinds
    assert of_images.recommended is not None
    assert of_images.recommended.seconds == DAY


def test_a_longer_threshold_keeps_more_bytes() -> None:
    (of_images,) = advised(watched(*once(60))).kinds
    means = [of.mean for of in of_images.thresholds.values() if of is not None]
    assert means == sorted(means)
    assert means[0] < means[-1] < of_images.without.mean


def test_a_threshold_over_half_the_watched_time_or_with_few_decided_objects_has_no_value() -> None:
    (of_images,) = advised(watched(*once(60), days=16)).kinds
    valued = [seconds / DAY for seconds, of in of_images.thresholds.items() if of is not None]
    assert max(valued) == 7
    (of_images,) = advised(watched(*once(19))).kinds
    assert not any(of_images.thresholds.values())
    assert of_images.recommended is None


def test_other_kinds_do_as_configured_and_its_own_policies_do_not_count() -> None:
    settings = cleanup(
        policy("mine", "image", when={"unused_for": "1h"}),
        policy("also", "image", when={"unused_for": "9d"}, mode="report"),
        schedule="12h",
    )
    (with_own,) = advised(watched(*once(60)), settings).kinds
    (without,) = advised(watched(*once(60))).kinds
    assert with_own.thresholds == without.thresholds
    assert with_own.today == [HOUR, 9 * DAY]


def test_all_kinds_are_looked_at_and_progress_is_told() -> None:
    told: list[float] = []
    found = advised(watched(*once(3)), kinds=("container", "network", "volume"), on_progress=told.append)
    assert [each.kind for each in found.kinds] == ["container", "network", "volume"]
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_policy_can_be_pasted_and_tells_its_evidence() -> None:
    found = advised(watched(*once(60), *again(1, 4.9, 8.8)))
    told = advice_as_json(found)["kinds"]["image"]
    assert told["recommended"]["seconds"] == 5 * DAY
    toml = told["recommended"]["toml"]
    assert "# In 30d 0 of " in toml
    assert "images were needed again after 5d without use." in toml
    (pasted,) = checked(Cleanup, tomllib.loads(toml)["cleanup"]).policies
    assert (pasted.name, pasted.kind, pasted.when) == ("unused-images", "image", {"unused_for": 5 * DAY})
    assert [each["seconds"] for each in told["thresholds"]] == list(THRESHOLDS)
    assert told["thresholds"][-1] == {
        "seconds": 90 * DAY, "removed": None, "decided": None, "mean_bytes": None, "regrets": None,
        "regretted_bytes": None,
    }  # fmt: skip


def test_it_says_when_nothing_can_be_recommended() -> None:
    few = "\n".join(advice_report(advised(watched(*once(3)))))
    assert "Too little is known to recommend anything" in few
    daily = "\n".join(advice_report(advised(watched(*again(*range(1, 29))), most_regrets=0)))
    assert "nothing is recommended" in daily
    assert "[[cleanup.policies]]" not in few + daily


def test_the_report_marks_todays_policy_and_what_is_recommended() -> None:
    settings = cleanup(policy("mine", "image", when={"unused_for": "9d"}), schedule="12h")
    lines = list(advice_report(advised(watched(*once(60), *again(1, 4.9, 8.8)), settings)))
    assert [line.split()[0] for line in lines if line.endswith("recommended")] == ["5d"]
    assert [line.split()[0] for line in lines if line.endswith("today")] == ["9d"]
    assert 'when.unused_for = "5d"' in lines


def test_marks_leave_room_for_twice_the_largest_growth_in_an_hour() -> None:
    used = [50, 53, 51, 55, *[54] * 30]
    marks = [DiskMark(BEGIN + HOUR * hour, "/d", ("image",), of, 100 - of) for hour, of in enumerate(used)]
    (disk,) = advise_marks(marks, 0, marks[-1].at)
    assert (disk.peak, disk.growth, disk.high, disk.low) == (55, 4, 90, 80)
    (disk,) = advise_marks(marks[:20], 0, marks[-1].at)
    assert disk.high is None, "too few measurements"
    assert not list(advise_marks(marks, marks[-1].at + 1, marks[-1].at + 2))
