"""Matches of patterns and policies on a host, in words."""

import json
from collections.abc import Collection, Iterator

from watchd.cleanup.plan.matched import Selected, missing_pressure, selected, unmatched
from watchd.cleanup.report.words import counted, joined, plural
from watchd.config import Cleanup
from watchd.model import EngineView


def selections(view: EngineView, cleanup: Cleanup) -> Iterator[str]:
    """Yield a line for each policy: "policy unused selects 3 of 28 images"."""
    return map(_selection, selected(view, cleanup))


def void_patterns(view: EngineView, cleanup: Cleanup, policies: Collection[str] | None = None) -> Iterator[str]:
    """Yield a line for each pattern that matches nothing."""
    for each in unmatched(view, cleanup, policies):
        named = f" ({each.policy})" if each.policy else ""
        kind = plural(each.kind, 1) if each.kind else "object"
        yield f"{each.key}{named}: {json.dumps(each.pattern)} matches no {kind}"


def missing_policies(view: EngineView, cleanup: Cleanup) -> Iterator[str]:
    """Yield a line if policies act on images under pressure and none on the build cache with the same layers."""
    policies = missing_pressure(view, cleanup)
    if policies:
        yield (
            f"{joined(policies)} will free little under pressure: the build cache has the layers of images, too, and no"
            " policy for kind build_cache has a pressure. Add one with the same marks"
        )


def void_selections(view: EngineView, cleanup: Cleanup, policies: Collection[str] | None = None) -> Iterator[str]:
    """Yield a line for each policy that selects nothing although there are objects of its kind."""
    return (_selection(each) for each in selected(view, cleanup, policies) if each.of and not each.count)


def _selection(found: Selected) -> str:
    return f"policy {found.policy} selects {found.count} of {counted(found.kind, found.of)}"
