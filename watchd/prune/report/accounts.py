"""Where the disk went, as a table."""

from collections.abc import Iterator

from watchd.prune.account import Accounts
from watchd.prune.report.words import Line, plural, table
from watchd.units import format_size


def accounts(told: Accounts) -> Iterator[str]:
    """Yield the lines that tell where the disk went."""
    rows = [("KIND", "COUNT", "TOTAL", "SHARED", "RECLAIMABLE", "BY POLICY")]
    for kind, account in told.kinds.items():
        count, size = account.reclaimable
        claims = (("", account.enforced), (" (only reports)", account.reported))
        by_policy = [
            f"{name}{mode}: {claimed}, {format_size(claimed_size)}"
            for mode, policies_ in claims
            for name, (claimed, claimed_size) in policies_.items()
        ]
        rows.append(
            (
                plural(kind, 2),
                str(account.count),
                _known(account.total),
                format_size(account.shared) if account.shared else "",
                f"{format_size(size)} ({count})" if count else "",
                "; ".join(by_policy),
            )
        )
    heading, *lines = table(rows)
    yield Line(heading, "heading")
    yield from lines
    for shelf in told.shelves:
        disk = shelf.disk
        yield ""
        used, available = format_size(disk.used), format_size(disk.available)
        yield f"{disk.path}: {used} used ({disk.used_share:.0%}), {available} available"
        if shelf.unaccounted is not None:
            beyond = format_size(shelf.unaccounted)
            yield f"  of which the engine does not account for {beyond}: logs, other programs' files"
    if not told.shelves:
        yield ""
        yield "The engine's disk cannot be measured from here (docs/cleaning.md says what it takes)."


def _known(size: int | None) -> str:
    return "unknown" if size is None else format_size(size)
