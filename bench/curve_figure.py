"""The figure of `curve.py`: series, colors of two themes, and labels that do not overlap."""

import numpy as np

# Marker and color on light and on dark pages; colors that differ for color-blind readers, too
SERIES = {
    "profiles of bm3d": ("o", "#0072b2", "#56b4e9"),
    "networks": ("D", "#a23f7c", "#e6a5cc"),
    "bm3d": ("s", "#c04f00", "#f0a04b"),
    "BM3DCPU": ("^", "#007a5a", "#35d0a5"),
    "scikit-image, OpenCV": ("X", "#6a6a6a", "#b4b4b4"),
}
OTHERS = "scikit-image, OpenCV"
THEMES = {"light": ("#1f2328", "#d8dee4", 1), "dark": ("#e6edf3", "#3d444d", 2)}  # text, grid
NETWORKS = ("unet", "hybrid, fast", "hybrid")
OURS = ("profiles of bm3d", "networks")
LINES = ("profiles of bm3d", "networks", "bm3d", "BM3DCPU")
OFF_LINE = ("vn", "refilter", "unet")  # for other noise than that of the figure; another method
# Where a label may lie, seen from its point: alignment and direction
PLACES = [("left", 1, 0), ("right", -1, 0), ("center", 0, 1), ("center", 0, -1),
          ("left", 1, 1), ("left", 1, -1), ("right", -1, 1), ("right", -1, -1)]  # fmt: skip
PAD = 4  # pixels between labels
OUTSIDE = 1e6  # cost of a label that leaves the axes, in pixels
TICKS = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


def series_of(info):
    """Return the series to which a row belongs."""
    if info["program"] == "fastrestore":
        return OURS[info["setting"] in NETWORKS]
    return info["program"] if info["program"] in SERIES else OTHERS


def write(rows, stem):
    """Write an SVG file for each theme and a PNG file; return their paths."""
    paths = []
    for theme in THEMES:
        figure = draw(rows, theme)
        for path in [f"{stem}-{theme}.svg"] + [f"{stem}.png"] * (theme == "light"):
            options = {"metadata": {"Date": None}} if path.endswith("svg") else {"dpi": 150}
            figure.savefig(path, transparent=path.endswith("svg"), **options)
            paths.append(path)
    return paths


def draw(rows, theme):
    """Draw the rows in the colors of a theme."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "curve"  # the same file for the same rows
    matplotlib.rcParams["svg.fonttype"] = "none"  # text can be selected and searched
    from matplotlib.figure import Figure

    text, grid, color = THEMES[theme]
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    drawn = []
    for name, style in SERIES.items():
        found = [row for row in rows if series_of(row["extra_info"]) == name]
        if found:
            drawn += plot(axes, name, found, (style[0], style[color]))
    dress(axes, rows, text, grid)
    place(figure, axes, drawn)
    return figure


def plot(axes, name, rows, style):
    """Draw a series; return position, text and color of its labels."""
    marker, color = style
    points = sorted(point_of(row) for row in rows)
    line = [point for point in points if point[2] not in OFF_LINE]
    if name in LINES:
        axes.plot([p[0] for p in line], [p[1] for p in line], color=color, alpha=0.55, zorder=2)
    options = {"color": color, "ms": 6.5, "zorder": 3, "label": title_of(name, rows)}
    axes.plot([p[0] for p in points], [p[1] for p in points], marker, **options)
    return [(*point, color) for point in points]


def point_of(row):
    """Return time, PSNR and label of a row."""
    info = row["extra_info"]
    name = "OpenCV " if info["program"].startswith("opencv") else ""
    return row["stats"]["median"], info["psnr_db"], name + info["setting"]


def title_of(name, rows):
    """Return the name of a series in the legend, with its version."""
    if name in OURS:
        return f"fastrestore, {name}"
    versions = {row["extra_info"].get("version") for row in rows}
    if name == OTHERS:
        return name
    return f"{name} {versions.pop()}" + " (closed source)" * (name == "bm3d")


def dress(axes, rows, text, grid):
    """Set scales, units, ticks, legend and colors."""
    axes.set_xscale("log")
    axes.margins(x=0.09, y=0.09)
    low, high = axes.get_xlim()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g} s" if tick >= 1 else f"{1e3 * tick:g} ms" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("time of a 512x512 image (logarithmic); faster is further left", color=text)
    axes.set_ylabel("PSNR in dB; better is higher", color=text)
    axes.grid(color=grid, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=text, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    first = rows[0]["extra_info"]
    title = f"{first['kind']}, 512x512, sigma {first['sigma']:g}, {first['threads']} threads"
    axes.set_title(title.capitalize(), color=text, loc="left", fontsize=11)
    axes.legend(frameon=False, labelcolor=text, fontsize=9, loc="lower right")


def place(figure, axes, drawn):
    """Write each label where it overlaps least with others, with points, lines and the legend."""
    figure.canvas.draw()
    spots = axes.transData.transform([point[:2] for point in drawn])
    boxes = [box_around(spot, 5) for spot in spots]
    boxes += [box_around(spot, 1) for line in axes.lines[:] for spot in along(axes, line)]
    boxes.append(axes.get_legend().get_window_extent().extents)
    frame = axes.get_window_extent().extents
    for k in np.argsort([np.sort(np.hypot(*(spots - spot).T))[1:4].sum() for spot in spots]):
        x, y, label, color = drawn[k]  # the most crowded ones first
        tried = []
        for distance in (7, 13, 20):
            for align, right, up in PLACES:
                note = axes.annotate(label, (x, y), (right * distance, up * distance),
                                     textcoords="offset points", ha=align, va="center",
                                     color=color, fontsize=9)  # fmt: skip
                box = np.add(note.get_window_extent().extents, (-PAD, 0, PAD, 0))
                cost = sum(overlap(box, other) for other in boxes) + distance
                outside = overlap(box, frame) < 0.999 * area(box)
                tried.append((cost + OUTSIDE * outside, len(tried), note, box))
        best = min(tried)
        for each in tried:
            if each is not best:
                each[2].remove()
        boxes.append(best[3])


def along(axes, line):
    """Return points along a line of the figure, in pixels."""
    if line.get_linestyle() == "None":
        return np.zeros((0, 2))
    x, y = axes.transData.transform(line.get_xydata()).T
    steps = np.linspace(0, len(x) - 1, 60 * max(1, len(x) - 1))
    return np.stack([np.interp(steps, range(len(x)), x), np.interp(steps, range(len(x)), y)], 1)


def box_around(spot, radius):
    """Return a square around a point: left, bottom, right, top."""
    return np.array([*(spot - radius), *(spot + radius)])


def overlap(a, b):
    """Return the common area of two boxes, in pixels."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))


def area(box):
    return float(np.prod(box[2:] - box[:2]))
