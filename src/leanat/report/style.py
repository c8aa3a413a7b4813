"""The look of every figure: safe for colour-blind readers, with markers and dashes for print in grey; same data, same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leanat.core.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its yellow, ordered so that neighbours also differ in lightness. From the eighth series on,
# colours of Tol's and Brewer's palettes follow.
COLOURS = (
    "#0072B2", "#E69F00", "#000000", "#D55E00", "#56B4E9", "#009E73", "#CC79A7",
    "#332288", "#999933", "#882255", "#44AA99", "#8C510A", "#7FBC41", "#C51B7D",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "p", ">", "h", "d", "*", "8")
DASHES = (
    "-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)),
    (0, (8, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (2, 2)), (0, (6, 1, 2, 1)), (0, (1, 3)), (0, (8, 1, 1, 1)), (0, (3, 3)),
)  # fmt: skip
GREY = "#6b6b6b"  # the paper's values
WIDTH = 5.5  # inches, the text width of a paper
DPI = 160
# The formats of a figure, and the metadata that are left out of each, so that the same data give the same bytes.
FORMS = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}

_RC = {
    "axes.edgecolor": "#333333",
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "figure.constrained_layout.use": True,
    "figure.dpi": DPI,
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],  # both come with matplotlib, so no machine's fonts matter
    "font.size": 8.5,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "mathtext.fontset": "stix",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "savefig.dpi": DPI,
    "svg.hashsalt": "leanat",  # names inside the file, which are random otherwise
    "xtick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.labelsize": 8,
    "ytick.major.width": 0.7,
}


def apply() -> None:
    """Makes matplotlib draw only to files and sets the look. Must be called before the first figure."""
    import matplotlib

    matplotlib.use("Agg", force=True)
    import seaborn
    from cycler import cycler

    seaborn.set_theme(context="paper", style="ticks", palette=list(COLOURS), rc=_RC)
    cycle = cycler(color=COLOURS) + cycler(marker=MARKERS) + cycler(linestyle=DASHES)
    matplotlib.rcParams["axes.prop_cycle"] = cycle


def save(fig: Figure, stem: Path | str) -> None:
    """Writes ``stem``.pdf, .png and .svg, each either completely or not at all, and closes the figure."""
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    for kind, metadata in FORMS.items():
        with atomic_write(Path(f"{stem}.{kind}")) as file:
            fig.savefig(file, format=kind, dpi=DPI, metadata=metadata)
    from matplotlib import pyplot

    pyplot.close(fig)


def of_shares(low: float, high: float, least: float = 0.0) -> tuple[float, float]:
    """The limits of an axis of percentages from ``least`` to 100, with room for markers at both ends."""
    return max(low, least - 3), min(high, 103)
