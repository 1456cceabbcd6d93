"""A group of `reproduce.py`, and how its figures are taken from tables."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Group:
    """A command and the figures that it prints."""

    command: str  # DIR is the folder of test sets
    figures: dict[str, Callable]  # from the rows of its tables to a text
    needs: tuple[str, ...] = ()  # in this folder
    packages: tuple[str, ...] = field(default=())  # peers


def cells(rows, column, form="{:.2f}", unit=" dB", joint=" / "):
    """Return a figure: the numbers of a column, by name or index, in rows whose names match.

    Rows are taken in the order of `rows`, or in that of the output if `rows` is one name.
    """

    def figure(printed):
        wanted = [rows] if isinstance(rows, str) else rows
        found = [
            number(cell_of(heads, line, column))
            for name in wanted
            for heads, line in printed
            if line[0] == name and (isinstance(column, int) or column in heads)
        ]
        if len(found) < len(wanted):
            raise LookupError(f"not all of {wanted} are printed with a column {column!r}")
        return joint.join(form.format(each) for each in found) + unit

    return figure


def difference(upper, lower, form="{:.1f}"):
    """Return a figure: how much a number is above another one; each is a row and a column."""

    def figure(printed):
        high, low = (first(printed, *place) for place in (upper, lower))
        return f"{form.format(high - low)} dB"

    return figure


def first(printed, row, column):
    """Return the number in a column of the first row whose first or second cell is `row`."""
    return next(
        number(cell_of(heads, line, column))
        for heads, line in printed
        if row in line[:2] and column in heads
    )


def spread(rows, column):
    """Return a figure: the least and the largest number of a column, in seconds."""

    def figure(printed):
        found = [number(line[column]) for _, line in printed if line[0] in rows]
        return f"{min(found):.1f} to {max(found):.1f} s"

    return figure


def cell_of(heads, line, column):
    """Return the cell of a row in a column."""
    return line[column if isinstance(column, int) else heads.index(column)]


def number(cell):
    """Return the number at the beginning of a cell, or after a colon."""
    return float(re.match(r"[-+]?\d+(?:\.\d+)?", cell.rpartition(":")[2].strip())[0])


def shares(row, part, whole="images"):
    """Return a figure: how many of all, such as `2 of 22`."""

    def figure(printed):
        return f"{first(printed, row, part):.0f} of {first(printed, row, whole):.0f}"

    return figure


def errors(column, form="{:.1f}"):
    """Return a figure of `estimate.py`: a column for images that are not changed, by sigma."""

    def figure(printed):
        found = [
            number(cell_of(heads, line, column))
            for heads, line in printed
            if line[0] == "fastrestore" and "unchanged" in line
        ]
        return " / ".join(form.format(each) for each in found) + " %"

    return figure
