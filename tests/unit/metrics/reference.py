"""The tables of docs/metrics.md, made from the catalogue: `python -m tests.unit.metrics.reference` writes them."""

import re
from itertools import groupby

from tests import ROOT
from watchd.metrics.groups import METRICS
from watchd.metrics.groups.group import Metric

DOCUMENT = ROOT / "docs/metrics.md"
_BEGIN, _END = "<!-- table: {} -->\n", "<!-- end -->"


def with_tables(document: str) -> str:
    """Return a document with the table of each group of metrics between its marks."""

    def table(found: re.Match[str]) -> str:
        group = found[1]
        return f"{_BEGIN.format(group)}{_table([metric for metric in METRICS if metric.record == group])}{_END}"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", table, document, flags=re.DOTALL)


def groups_in(document: str) -> list[str]:
    """Return the groups that a document has a table of."""
    return re.findall(r"<!-- table: (\w+) -->", document)


def _table(metrics: list[Metric]) -> str:
    rows = ["| metric | type | unit | labels | meaning |", "|---|---|---|---|---|"]
    for name, same in groupby(metrics, key=lambda metric: metric.name):
        family = list(same)
        first = family[0]
        fixed = {label for metric in family for label, _ in metric.fixed}
        labels = ", ".join([*first.labels, *sorted(fixed)])
        rows.append(f"| `{name}` | {first.type} | {first.unit} | {labels} | {first.help} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
