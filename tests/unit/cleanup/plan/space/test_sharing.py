"""What `explain` tells of the layers that images share."""

from typing import Any

from tests.unit.cleanup.builders import NOW, UNUSED, cleanup, image, plan, record, seen_long_ago, view
from watchd.cleanup import report
from watchd.cleanup.plan.explain import explain
from watchd.cleanup.report.explanations import explanation_as_json
from watchd.model import CacheRecord, Image, Layer

BASE, STEP = Layer("base", 30, 1), Layer("step", 12, 2)


def having(name: str, *layers: Layer, **further: Any) -> Image:
    return image(name, size=sum(layer.size for layer in layers), history=layers, **further)


def told(subject: Image, *others: Image | CacheRecord) -> tuple[str, Any]:
    """Return the line and the JSON about what an image shares."""
    look, settings = view(subject, *others), cleanup(UNUSED)
    known = seen_long_ago(look)
    explained = explain(subject, plan(look, settings, known=known), look, settings, known)
    lines = [line for line in report.explanation(explained) if line.startswith("  alone it frees")]
    return "".join(lines).strip(), explanation_as_json(explained)["sharing"]


def test_whose_layers_they_are_as_well() -> None:
    line, shared = told(having("app", BASE, STEP), having("web", BASE))
    assert line == "alone it frees 12B: 30B belong to web:1 as well"
    assert (shared["alone"]["bytes"], shared["shared"]["bytes"]) == (12, 30)
    assert (shared["images"], shared["image_count"], shared["build_cache"]) == (["web:1"], 1, False)


def test_an_image_of_which_another_has_all_layers_frees_nothing_alone() -> None:
    line, _ = told(having("app", BASE), having("web", BASE, STEP))
    assert line == "alone it frees 0B: 30B belong to web:1 as well"


def test_an_image_that_shares_nothing_says_what_it_frees() -> None:
    line, shared = told(having("app", BASE), having("web", STEP))
    assert line == "alone it frees 30B"
    assert shared["images"] == []


def test_those_that_share_most_are_named_first_and_of_many_a_few() -> None:
    small = [having(f"small{number}", STEP) for number in range(4)]
    line, shared = told(having("app", BASE, STEP), *small, having("web", BASE, STEP))
    assert line.startswith("alone it frees 0B: 42B belong to web:1, small")
    assert line.endswith(" and 2 more as well")
    assert shared["image_count"] == 5


def test_the_build_cache_has_layers_as_well() -> None:
    made = int(NOW) - 1000
    step = Layer("step", 12, made)
    cached = record("step", size=12, shared=True, created_at=float(made))
    line, shared = told(having("app", BASE, step), cached)
    assert line == "alone it frees 30B: 12B belong to the build cache as well"
    assert shared["build_cache"]


def test_of_unknown_layers_nothing_is_told() -> None:
    assert told(image("app"), having("web", BASE)) == ("", None)
