"""Disk usage as a table."""

from collections.abc import Iterator

from watchd.cleanup.report.disk.usage import AccountedDisk, KindUsage, Row, UsageReport
from watchd.cleanup.report.tables import table
from watchd.cleanup.report.words import Line, joined, plural
from watchd.model import Amount
from watchd.units import format_amount, format_size


def usage_table(report: UsageReport) -> Iterator[str]:
    """Yield a row for each kind, then lines for each disk."""
    rows: list[tuple[str, ...]] = [("KIND", "COUNT", "TOTAL", "SHARED", "RECLAIMABLE", "BY POLICY")]
    rows += [_row(kind, usage) for kind, usage in report.kinds.items()]
    heading, *lines = table(rows)
    yield Line(heading, "heading")
    yield from lines
    if without_image := report.kinds["image"].without_image:
        yield Line(
            f"layers that no image has: at least {format_size(without_image)}; `watchd df --deep` tells who holds them",
            "trouble",
        )
    if others := report.kinds["image"].other_platforms:
        yield f"of images, up to {format_size(sum(others.values()))} are for other platforms: {', '.join(others)}"
    for accounted in report.disks:
        yield ""
        yield from _disk(accounted, logs_known=report.kinds["log"].total is not None)
    for why in dict.fromkeys(report.unmeasured.values()):
        kinds = joined(plural(kind, 2) for kind, reason in report.unmeasured.items() if reason == why)
        yield ""
        yield Line(f"No disk pressure for {kinds}: {why}", "trouble")


def _row(kind: Row, usage: KindUsage) -> tuple[str, ...]:
    reclaimable = usage.reclaimable
    by_mode = (("", usage.enforced), (" (only reports)", usage.reported))
    by_policy = [
        f"{policy}{mode}: {claim.count}, {_size(claim.amount)}"
        for mode, policies in by_mode
        for policy, claim in policies.items()
    ]
    return (
        plural(kind, 2),
        str(usage.count),
        "unknown" if usage.total is None else _size(usage.total),
        format_size(usage.shared) if usage.shared else "",
        f"{_size(reclaimable.amount)} ({reclaimable.count})" if reclaimable.count else "",
        "; ".join(by_policy),
    )


def _size(amount: Amount) -> str:
    return format_amount(amount.bytes, at_least=amount.at_least)


def _disk(accounted: AccountedDisk, *, logs_known: bool) -> Iterator[str]:
    disk = accounted.disk
    used, available = format_size(disk.used), format_size(disk.available)
    yield f"{disk.path}: {used} used ({disk.used_share:.0%}), {available} available"
    if accounted.unaccounted is not None:
        beyond = format_size(accounted.unaccounted)
        logs = "" if logs_known else "logs, "
        yield f"  of which the engine does not account for {beyond}: {logs}other programs' files"
