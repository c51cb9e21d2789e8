"""Reports of the parts of images."""

from dataclasses import replace
from typing import Any

from tests.unit.cleanup.builders import NOW, UNUSED, cleanup, image, plan, seen_long_ago, view
from watchd.cleanup import report
from watchd.cleanup.report.disk.usage import usage_report
from watchd.cleanup.report.explanations import explanation_as_json
from watchd.cleanup.run.planning import plan_cleanup
from watchd.model import Image
from watchd.model.objects.parts import Part

HERE = Part("sha256:aa", "image", available=True, size=200_000, unpacked=110_000, platform="linux/amd64")
OTHER = Part("sha256:bb", "image", available=True, size=100_000, platform="linux/arm64")
ATTESTATION = Part("sha256:cc", "attestation", available=True, size=700, attests="sha256:aa")
ABSENT = Part("sha256:dd", "image", available=False, size=0, platform="linux/s390x")


def told(subject: Image) -> tuple[str, Any]:
    """Return the line and the JSON about the parts of an image."""
    look, settings = view(subject), cleanup(UNUSED)
    explained = plan_cleanup(look, settings, seen_long_ago(look), NOW).explain(subject)
    lines = [line.strip() for line in report.explanation(explained) if line.startswith("  parts:")]
    return "".join(lines), explanation_as_json(explained)["parts"]


def test_platforms_and_attestations_are_told() -> None:
    line, parts = told(image("web", parts=(HERE, OTHER, ATTESTATION, ATTESTATION, ABSENT)))
    summary = "linux/amd64 200kB, linux/arm64 100kB (only compressed), 2 attestations 1.4kB; not here: linux/s390x"
    assert line == f"parts: {summary}"
    assert parts["summary"] == summary
    assert parts["list"][2] == {
        "kind": "attestation",
        "digest": "sha256:cc",
        "platform": None,
        "available": True,
        "bytes": 700,
        "unpacked_bytes": 0,
        "attests": "sha256:aa",
    }


def test_what_a_store_does_not_tell_is_not_shown() -> None:
    assert told(image("web")) == ("", None)
    assert told(image("web", parts=(HERE,))) == ("", None)


def test_df_tells_what_other_platforms_take() -> None:
    only_other = replace(OTHER, digest="sha256:ee", platform="linux/riscv64")
    several = [image("web", parts=(HERE, OTHER, ABSENT)), image("api", parts=(HERE, OTHER))]
    look = view(*several, image("x", parts=(only_other,)))
    usage = usage_report(look, None, plan(look, cleanup(UNUSED)))
    assert usage.as_json()["kinds"]["image"]["other_platforms"] == {"linux/arm64": 200_000}
    assert "of images, up to 200kB are for other platforms: linux/arm64" in list(report.usage_table(usage))
