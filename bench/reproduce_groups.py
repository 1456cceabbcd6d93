"""The groups of `reproduce.py`: a command of bench/, what it needs, and its figures."""

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


QUALITY = "bench/quality.py --images DIR/{} --sigma 15 25 50"
COLOR = "bench/quality.py --images DIR/BSDS500 --color --skip DIR/BSD432_ids.txt --sigma 15 25 50"
BSDS = ("BSDS500", "BSD432_ids.txt")
CORRELATED = "bench/correlated.py --images DIR/Set12"
VOLUMES = "bench/volumes.py --image DIR/Set12/01.png --workers 2"
INPAINT = "bench/inpaint.py --images DIR/Set12 --workers 2"
DEBLUR = "bench/deblur.py --image DIR/Set12/01.png"
RESTORE = "bench/restore.py --images DIR/BSDS500 --only DIR/BSD432_ids.txt --every 20"
PAIRS = "bench/restore.py --pairs DIR/PolyU --cameras Canon5D2 NikonD800"
CAMERAS = ("Canon5D2", "NikonD800")
GAN = "restore-gan-experimental"
NOISES = ("g1", "g2", "g3")
EXPERIMENTS = ("1", "2", "3", "4", "5", "6")
NARROW, WIDE = ("every pixel", "some", "wide"), ("partial", "fluctuating", "15 pixels wide")


def set_of(name, prefix):
    """Return the groups of a gray test set, of ours and of the peer."""
    command = QUALITY.format(name)
    return {
        prefix: Group(command, {prefix: cells("mean", "fastrestore PSNR dB")}, (name,)),
        f"{prefix}-peer": Group(
            f"{command} --peers",
            {f"{prefix}-bm3d": cells("mean", "bm3d PSNR dB")},
            (name,),
            ("bm3d",),
        ),
    }


def restore_figures():
    """Return the figures of a table: a key for each degradation and each column."""
    columns = {"": "input", "-bm3d": "bm3d", "-gan": GAN}
    gain = {"restore-jpeg30-gain": difference(("jpeg 30", "bm3d"), ("jpeg 30", "input"))}
    return gain | {
        f"restore-{name.replace(' ', '')}{suffix}": cells(name, column)
        for name in ("none", "camera", "jpeg 75", "jpeg 30", "blur", "trained")
        for suffix, column in columns.items()
        if (name, column) != ("none", "input")
    }


GROUPS = {
    "speed-time": Group(
        "bench/speed.py --workers 2",
        {
            "speed": cells("fastrestore", "seconds", unit=" s"),
            "speed-bm3d": cells("bm3d 4.0.3", "seconds", "{:.1f}", unit=" s"),
        },
        packages=("bm3d",),
    ),
    **set_of("Set12", "set12"),
    **set_of("BSD68", "bsd68"),
    "cbsd68": Group(COLOR, {"cbsd68": cells("mean", "fastrestore PSNR dB")}, BSDS),
    "correlated": Group(
        CORRELATED,
        {f"correlated-{name}": cells(NOISES, name) for name in ("np", "refilter", "iterative")}
        | {f"gain-{name}": difference((name, "iterative"), (name, "np")) for name in NOISES},
        ("Set12",),
    ),
    "correlated-peer": Group(
        f"{CORRELATED} --peers",
        {f"correlated-bm3d-{name}": cells(NOISES, f"bm3d {name}") for name in ("np", "refilter")},
        ("Set12",),
        ("bm3d",),
    ),
    "curve": Group(
        "bench/curve.py --json docs/guide/curve/curve.json",
        {"curve-balanced": difference(("np", "PSNR in dB"), ("balanced", "PSNR in dB"))},
    ),
    "films": Group("bench/films.py", {"films": cells(("20", "40"), "gain dB", "{:+.1f}")}),
    "burst": Group(
        "bench/burst.py --images DIR/Set12",
        {"burst": cells("mean", "burst"), "burst-one": cells("mean", "bm3d of one")},
        ("Set12",),
    ),
    "nets": Group(
        "bench/nets.py --images DIR/BSD68 --sigma 25 --methods bm3d unet hybrid",
        {"nets": cells(("bm3d", "unet", "hybrid"), "PSNR 25")},
        ("BSD68",),
        ("torch",),
    ),
    "nets-color": Group(
        "bench/nets.py --images DIR/BSDS500 --color --skip DIR/BSD432_ids.txt --sigma 25 "
        "--methods bm3d hybrid",
        {"nets-color": cells(("bm3d", "hybrid"), "PSNR 25")},
        BSDS,
        ("torch",),
    ),
    "volumes": Group(VOLUMES, {"volumes": cells("01", "fastrestore dB")}, ("Set12",)),
    "volumes-peer": Group(
        f"{VOLUMES} --peers", {"volumes-bm4d": cells("01", "bm4d dB")}, ("Set12",), ("bm4d",)
    ),
    "volumes-time": Group(
        f"{VOLUMES} --peers",
        {
            "volumes-s": cells("01", 4, unit=" s"),
            "volumes-bm4d-s": cells("01", 6, "{:.1f}", unit=" s"),
        },
        ("Set12",),
        ("bm4d",),
    ),
    "upscale": Group(
        "bench/upscale.py --images DIR/Set5",
        {"upscale": cells(("bicubic", "srresnet", "srgan"), "PSNR Y")},
        ("Set5",),
        ("torch",),
    ),
    "degraded": Group(
        "bench/upscale.py --images DIR/Set5 --degraded",
        {"degraded": cells(("input", GAN), "PSNR Y")},
        ("Set5",),
        ("torch",),
    ),
    "deblur": Group(
        DEBLUR,
        {"deblur": cells(EXPERIMENTS, "fastrestore dB", joint=" ")},
        ("Set12",),
    ),
    "deblur-peer": Group(
        f"{DEBLUR} --peers",
        {"deblur-bm3d": cells(EXPERIMENTS, "bm3d dB", joint=" ")},
        ("Set12",),
        ("bm3d",),
    ),
    "deblur-time": Group(
        f"{DEBLUR} --peers",
        {
            "deblur-s": cells("1", 4, "{:.1f}", " s"),
            "deblur-bm3d-s": cells("1", 6, "{:.0f}", " s"),
        },
        ("Set12",),
        ("bm3d",),
    ),
    "inpaint": Group(
        f"{INPAINT} --peers",
        {
            "inpaint": cells("mean", "fastrestore dB"),
            "inpaint-peer": cells("mean", "biharmonic dB"),
        },
        ("Set12",),
    ),
    "inpaint-time": Group(
        f"{INPAINT} --peers",
        {
            "inpaint-s": cells("mean", 2, "{:.1f}", " s"),
            "inpaint-peer-s": cells("mean", 4, "{:.1f}", " s"),
        },
        ("Set12",),
    ),
    "streaks": Group(
        "bench/streaks.py --workers 2",
        {
            "streaks-none": cells(NARROW, "dB", "{:.1f}"),
            "streaks": cells(NARROW, "fastrestore dB", "{:.1f}"),
            "streaks-wide-none": cells(WIDE, "dB", "{:.1f}"),
            "streaks-wide": cells(WIDE, "fastrestore dB", "{:.1f}"),
        },
        packages=("skimage",),
    ),
    "streaks-peer": Group(
        "bench/streaks.py --workers 2 --peers",
        {
            "streaks-bm3dornl": cells(NARROW, "bm3dornl dB", "{:.1f}"),
            "streaks-wide-bm3dornl": cells(WIDE, "bm3dornl dB", "{:.1f}"),
        },
        packages=("bm3dornl",),
    ),
    "streaks-time": Group(
        "bench/streaks.py --workers 2 --peers",
        {
            "streaks-s": cells("every pixel", 3, "{:.1f}", " s"),
            "streaks-bm3dornl-s": spread(NARROW, 5),
            "streaks-wide-bm3dornl-s": spread(WIDE, 5),
        },
        packages=("bm3dornl",),
    ),
    "restore": Group(RESTORE, restore_figures(), BSDS, ("torch",)),
    "restore-pairs": Group(
        PAIRS,
        {
            "restore-pairs": cells(CAMERAS, "input"),
            "restore-pairs-bm3d": cells(CAMERAS, "bm3d"),
            "restore-pairs-gan": cells(CAMERAS, GAN),
        },
        ("PolyU",),
        ("torch",),
    ),
}
