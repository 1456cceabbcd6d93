"""The groups of `reproduce.py`: a command of bench/, what it needs, and its figures."""

from reproduce_cells import Group, cells, difference, errors, shares, spread
from reproduce_networks import GAN, NETWORKS

QUALITY = "bench/quality.py --images DIR/{} --sigma 15 25 50"
COLOR = "bench/quality.py --images DIR/BSDS500 --color --skip DIR/BSD432_ids.txt --sigma 15 25 50"
BSDS = ("BSDS500", "BSD432_ids.txt")
CORRELATED = "bench/correlated.py --images DIR/Set12"
VOLUMES = "bench/volumes.py --image DIR/Set12/01.png --workers 2"
INPAINT = "bench/inpaint.py --images DIR/Set12 --workers 2"
DEBLUR = "bench/deblur.py --image DIR/Set12/01.png"
RESTORE = "bench/restore.py --images DIR/BSDS500 --only DIR/BSD432_ids.txt --every 20"
PAIRS = "bench/restore.py --pairs DIR/PolyU --cameras Canon5D2 NikonD800"
PEAKS = ("2", "5", "20")
DEGRADATIONS = ("none", "camera", "jpeg 75", "jpeg 30", "blur", "trained")
CAMERAS = ("Canon5D2", "NikonD800")
NOISES = ("g1", "g2", "g3")
EXPERIMENTS = ("1", "2", "3", "4", "5", "6")
NARROW, WIDE = ("every pixel", "some", "wide"), ("partial", "fluctuating", "15 pixels wide")


def best_single(printed):
    """Return a figure: the PSNR of the best single sigma for a map."""
    names = [line[0] for _, line in printed if line[0].startswith("the best single one")]
    return cells(names[0], "mean PSNR dB")(printed)


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
    worse = {
        f"restore-{name.replace(' ', '')}-worse": shares(name, "below") for name in DEGRADATIONS
    }
    return (
        worse
        | gain
        | {
            f"restore-{name.replace(' ', '')}{suffix}": cells(name, column)
            for name in DEGRADATIONS
            for suffix, column in columns.items()
            if (name, column) != ("none", "input")
        }
    )


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
    **NETWORKS,
    "maps": Group(
        "bench/maps.py --images DIR/Set12",
        {"maps": cells("the map", "mean PSNR dB"), "maps-one": best_single},
        ("Set12",),
    ),
    "poisson": Group(
        "bench/poisson.py --images DIR/Set12 --peak 2 5 20",
        {"poisson": cells(PEAKS, "fastrestore"), "poisson-one": cells(PEAKS, "one pass")},
        ("Set12",),
    ),
    "poisson-gaussian": Group(
        "bench/poisson.py --images DIR/Set12 --peak 2 5 20 --gaussian 0.1",
        {
            "poisson-gaussian": cells(PEAKS, "fastrestore"),
            "poisson-gaussian-one": cells(PEAKS, "one pass"),
        },
        ("Set12",),
    ),
    "estimate": Group(
        "bench/estimate.py --images DIR/BSD68",
        {"estimate": errors("mean absolute error %"), "estimate-worst": errors("worst image %")},
        ("BSD68",),
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
