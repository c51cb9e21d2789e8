"""Tables with aligned columns, which fit a terminal or are whole."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from watchd.cells import fit, width

_SHORT_NAME, _SHORTEST_NAME = 20, 8  # cells
_BETWEEN = 2


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a table gives way in a terminal of `cells`: the column `name` shrinks, then columns go, the first first."""

    cells: int
    name: int
    drop: tuple[int, ...] = ()


def table(rows: Iterable[Sequence[str]], fitting: Fitting | None = None) -> Iterator[str]:
    """Yield rows with aligned columns. Without `fitting` they are as wide as their cells."""
    rows = list(rows)
    if not rows:
        return
    widths = {index: max(map(width, column)) for index, column in enumerate(zip(*rows, strict=True))}
    if fitting is not None:
        _narrow(widths, fitting)
    for row in rows:
        cells = (fit(row[index], size, middle=True) for index, size in widths.items())
        line = (" " * _BETWEEN).join(cells).rstrip()
        yield line if fitting is None or width(line) <= fitting.cells else fit(line, fitting.cells)


def _narrow(widths: dict[int, int], fitting: Fitting) -> None:
    """Shrink the name, and drop columns, until the others have room."""
    drop, name = list(fitting.drop), fitting.name
    while True:
        others = sum(size for index, size in widths.items() if index != name) + _BETWEEN * (len(widths) - 1)
        room = fitting.cells - others
        if room >= min(widths[name], _SHORT_NAME) or not drop:
            widths[name] = min(widths[name], max(room, _SHORTEST_NAME))
            return
        del widths[drop.pop(0)]
