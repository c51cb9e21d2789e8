"""Layers of the same steps: one where their digests agree, several where not."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cleanup.builders import image, view
from watchd.cleanup.plan.space.space import Space
from watchd.engine.decode import images
from watchd.model import Amount, Image


@dataclass(frozen=True)
class Step:
    """A step of a build: without a digest it made no layer."""

    text: str
    size: int = 0
    digest: str = ""


BASE = (Step("ADD", 30, "base"), Step("CMD sh"))
WORKDIR, NO_WORKDIR = Step("WORKDIR /app", digest="workdir"), Step("WORKDIR /app")


def copied(digest: str) -> tuple[Step, ...]:
    """Return the steps of a reproducible build: the file's size and time are always the same."""
    return Step("COPY app /", 10, digest), Step("ENTRYPOINT app")


def made_of(name: str, *steps: Step) -> Image:
    """Return the image as the engine tells it: the newest step first, and a digest for each layer."""
    history = [{"Created": 1, "CreatedBy": each.text, "Size": each.size} for each in reversed(steps)]
    layers = tuple(each.digest for each in steps if each.digest)
    return image(name, size=sum(each.size for each in steps), history=images.history(history), layers=layers)


def amount(*images: Image) -> Amount:
    """Return the bytes of all."""
    return Space.of(view(*images)).amount(images)


def total(*images: Image) -> int:
    """Return the bytes of all, which are known."""
    known = amount(*images)
    assert not known.at_least
    return known.bytes


def test_imports_of_one_second_and_size_are_one_only_with_one_digest() -> None:
    first, second, again = (
        made_of(name, Step("", 10, digest)) for name, digest in (("a", "1"), ("b", "2"), ("c", "1"))
    )
    assert total(first, second) == 20
    assert total(first, again) == 10
    assert Space.of(view(first, second, again)).alone(second.key) == 10


@pytest.mark.parametrize("below", [(), (Step("ENV a=b"),), (WORKDIR,), (Step("ENV a=b"), WORKDIR)])
def test_reproducible_builds_share_their_base_alone(below: tuple[Step, ...]) -> None:
    apps = [made_of(name, *BASE, *below, *copied(name)) for name in ("one", "two")]
    assert total(*apps) == total(made_of("base", *BASE), *apps) == 30 + 2 * 10


def test_a_base_settles_which_layers_it_shares_with_an_image_that_is_not_certain() -> None:
    """A step that may have made a layer lies below and above what was built: it is not certain which one did."""
    bases = [made_of(f"base-{digest}", replace(BASE[0], digest=digest), BASE[1], WORKDIR) for digest in "12"]
    apps = [
        made_of(f"app-{digest}", replace(BASE[0], digest=digest), BASE[1], WORKDIR, *copied("bin"), Step("RUN true"))
        for digest in "12"
    ]
    assert total(*bases, *apps) == 2 * 30 + 2 * 10
    for base in bases:
        assert Space.of(view(*bases, *apps)).alone(base.key) == 0


def test_what_may_be_one_layer_counts_once() -> None:
    apps = [made_of(name, *BASE, WORKDIR, *copied(name), Step("RUN true")) for name in ("one", "two")]
    assert amount(*apps) == Amount(30 + 10, at_least=True)
    assert Space.of(view(*apps)).is_unknown(apps[0].key)
    assert total(apps[0], made_of("again", *BASE, WORKDIR, *copied("one"), Step("RUN true"))) == 30 + 10
    above = made_of("above", *BASE, WORKDIR, *copied("one"), Step("RUN true"), Step("ADD more", 5, "more"))
    assert total(apps[0], above) == 30 + 10 + 5, "it has all digests of the one below"
    certain = made_of("three", *BASE, WORKDIR, *copied("one"))
    assert total(*apps, certain) == 30 + 2 * 10, "one has its layer, two cannot have it"


def test_a_layer_of_other_steps_is_one_all_the_same() -> None:
    """BuildKit takes a layer from its cache if only the configuration below has changed."""
    apps = [made_of(name, *BASE, Step(f"ENV version={name}"), WORKDIR, *copied("same")) for name in ("one", "two")]
    assert total(*apps) == 30 + 10


def test_where_digests_are_not_known_or_do_not_fit_steps_alone_decide() -> None:
    one, two = (made_of(name, Step("", 10, name)) for name in ("one", "two"))
    for layers in (None, ()):
        unknown = [replace(each, layers=layers) for each in (one, two)]
        assert total(*unknown) == 10
        assert total(one, unknown[1]) == 10
    untold = [
        replace(each, history=tuple(replace(layer, empty_below=None) for layer in each.history or ()))
        for each in (made_of(name, *BASE, WORKDIR, *copied(name)) for name in ("one", "two"))
    ]
    assert amount(*untold) == Amount(30 + 10, at_least=True), "as of records of a timeline"


_STEPS = st.sampled_from(
    [
        Step("COPY a /", 7, "a1"), Step("COPY a /", 7, "a2"), Step("COPY b /", 3, "b1"), Step("COPY b /", 3, "b2"),
        WORKDIR, NO_WORKDIR, Step("ENV c=d"), Step("RUN true", digest="empty"),
    ]
)  # fmt: skip
_FLAT = st.lists(st.lists(_STEPS, max_size=4), min_size=2, max_size=8)


@given(_FLAT, st.randoms(use_true_random=False))
def test_no_layer_counts_twice_and_each_that_is_certain_counts(added: list[list[Step]], order: random.Random) -> None:
    """Whatever lies on what: a removal frees at least what was estimated so far, and all of it where steps tell all."""
    all_steps: list[tuple[Step, ...]] = [()]
    for steps in added:
        all_steps.append((*order.choice(all_steps), *steps))
    made = [made_of(str(number), *steps) for number, steps in enumerate(all_steps)]
    space = Space.of(view(*made))
    true = [_true_layers(steps) for steps in all_steps]
    sequence = list(range(len(made)))
    order.shuffle(sequence)
    for count in range(1, len(sequence) + 1):
        gone, left = sequence[:count], sequence[count:]
        estimate = space.amount([made[n] for n in gone], beside=[made[n] for n in left])
        really = {layer for n in gone for layer in true[n]} - {layer for n in left for layer in true[n]}
        assert estimate.bytes <= sum(size for _, size in really)
        if all(_is_told(steps) for steps in all_steps):
            assert estimate == Amount(sum(size for _, size in really))
        if not estimate.at_least:
            assert estimate.bytes == sum(size for _, size in really)


def _true_layers(steps: Sequence[Step]) -> set[tuple[tuple[str, ...], int]]:
    """Return the layers with bytes, each by the digests up to it, with their sizes."""
    made = [step for step in steps if step.digest]
    return {(tuple(each.digest for each in made[:end]), made[end - 1].size) for end in range(1, len(made) + 1)}


def _is_told(steps: Sequence[Step]) -> bool:
    """Return whether all steps that may have made a layer did."""
    return all(step.digest or step.text.startswith(("ENV", "CMD", "ENTRYPOINT")) for step in steps)
