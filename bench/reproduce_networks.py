"""The groups of `reproduce.py` for networks: the tables of their cards and of the page on them."""

from reproduce_cells import Group, cells

SIGMAS = {sigma: f"PSNR {sigma}" for sigma in ("15", "25", "50")}
GAN = "restore-gan-experimental"
ENLARGED = ("bicubic", "srresnet", "srgan")
DISTANCES = ("SqueezeNet", "EfficientNet")
LOOKS = "--features DIR/weights/squeezenet11_features.h5 --efficientnet"
SETS = {
    "bsd68": ("BSD68", "", ("bm3d", "unet", "hybrid")),
    "set12": ("Set12", "", ("bm3d", "unet", "hybrid")),
    "cbsd68": ("BSDS500", " --color --skip DIR/BSD432_ids.txt", ("bm3d", "hybrid")),
    "set5": ("Set5", " --color", ("bm3d", "hybrid")),
}


def table(prefix, rows, columns):
    """Return figures of cells without unit: a key of prefix, row and column for each."""
    return {
        f"{prefix}-{row}-{end}": cells(row, column, form_of(column), unit="")
        for row in rows
        for end, column in columns.items()
    }


def form_of(column):
    """Return the format of a number in a column."""
    if column in DISTANCES:
        return "{:.4f}"
    return {"worst": "{:+.2f}", "flicker": "{:.1f}"}.get(column, "{:.2f}")


def set_of(name):
    """Return the groups of a test set: PSNR, and the least gain of an image over `bm3d`."""
    folder, options, methods = SETS[name]
    needs = (folder, "BSD432_ids.txt") if folder == "BSDS500" else (folder,)
    command = f"bench/nets.py --images DIR/{folder}{options} --methods"
    prefix = f"nets-{name}"
    figures = table(prefix, methods, SIGMAS)
    if name == "set12":
        figures |= table(prefix, ["unet"], {"worst": "worst"})
    worst = table(prefix, ["hybrid"], {"worst": "worst"})
    return {
        prefix: Group(
            f"{command} {' '.join(methods)} --sigma 15 25 50", figures, needs, ("torch",)
        ),
        f"{prefix}-worst": Group(
            f"{command} bm3d hybrid --sigma 5 15 25 50 75", worst, needs, ("torch",)
        ),
    }


def looked_at(prefix, command, rows, columns, *needs):
    """Return the group of a table with perceptual distances."""
    columns = {column.lower().replace(" ", "-"): column for column in (*columns, *DISTANCES)}
    packages = ("torch", "efficientnet_lite_pytorch")
    return {
        prefix: Group(
            f"{command} {LOOKS}", table(prefix, rows, columns), (*needs, "weights"), packages
        )
    }


DEGRADED = f"--degraded --models {GAN}"
BOTH = ("PSNR Y", "PSNR RGB")
FOUND = ("input", "bm3d", GAN)

NETWORKS = {
    **{key: group for name in SETS for key, group in set_of(name).items()},
    "rgb-set5": Group(
        "bench/upscale.py --images DIR/Set5 --models srresnet",
        table("rgb-set5", ENLARGED[:2], {"y": "PSNR Y", "rgb": "PSNR RGB"}),
        ("Set5",),
        ("torch",),
    ),
    **looked_at("x4-set5", "bench/upscale.py --images DIR/Set5", ENLARGED, ("PSNR Y",), "Set5"),
    **looked_at(
        "x4-cbsd68",
        "bench/upscale.py --images DIR/BSDS500 --skip DIR/BSD432_ids.txt --count 30",
        ENLARGED,
        ("PSNR Y",),
        "BSDS500",
        "BSD432_ids.txt",
    ),
    **looked_at("bad-set5", f"bench/upscale.py --images DIR/Set5 {DEGRADED}", FOUND, BOTH, "Set5"),
    **looked_at(
        "bad-bsd68", f"bench/upscale.py --images DIR/BSD68 {DEGRADED}", FOUND, BOTH, "BSD68"
    ),
    **looked_at(
        "x4-video",
        "bench/upscale_video.py --clip DIR/clips/bmx-trees",
        (*ENLARGED, "vsrgan"),
        ("PSNR Y", "flicker"),
        "clips",
    ),
}
NETWORKS["x4-video"].figures["x4-video-true"] = cells("true frames", "flicker", "{:.1f}", unit="")
