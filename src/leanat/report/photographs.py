"""The findings in README.md on real photographs: sentences and tables whose numbers are read from ``replicated/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from leanat.experiments.scales import SCALES
from leanat.report import published, replicated
from leanat.report.findings import Findings, rows_of


def photographs(real: Path, papers: Path) -> list[str]:
    """What training on real photographs shows, one entry per item of ``real``; ``papers``: the folder of the printed numbers."""
    of, entries, scales = of_replicated(real, papers), [], {}
    for item, tell in SENTENCES.items():
        if (real / f"{item}.csv").is_file():
            scale = next(iter(replicated.load(*item.split("/"), real).values())).scale
            words, *table = tell(of).split("\n")
            entries += [f"{words} Scale {scale}.", *table]
            differences = (SCALES[scale].attacked, SCALES[scale].ensemble) if scale in SCALES else ()
            scales[scale] = ", ".join(filter(None, differences))
    return entries + [f"- At scale {scale}: {attacked}." for scale, attacked in scales.items() if attacked]


def _seeds(of: Findings, item: str, rows: Iterable[str], column: str) -> str:
    """How many seeds the rows have, such as "5 seeds" or "3 to 5 seeds"."""
    counts = {len(of.values(item, row, column)) for row in rows}
    if len(counts) > 1:
        return f"{min(counts)} to {max(counts)} seeds"
    return "one seed" if counts == {1} else f"{counts.pop()} seeds"


def _fast_coresets(of: Findings) -> str:
    item, full = "coreset/table3", "Fast Adv. Training"
    rows = {
        "GRAD-MATCH": "+ Adv. GradMatch (Ours)",
        "CRAIG": "+ Adv. Craig (Ours)",
        "GRAD-MATCH by class": "Adv. GradMatch, by class",
        "CRAIG by class": "Adv. Craig, by class",
    }
    chance = "Random, drawn again"
    every = {"all images": full, "random subsets": chance} | rows

    def cells(row: str) -> list[str]:
        """Clean and robust accuracy, the printed ones where there are any, and what is gained over random subsets."""
        printed = [] if row == chance or "by class" in row else ["↑ ACC (%)", "↑ RACC (%)"]
        gained = ["ACC", "RACC"] if row in rows.values() else []
        return [
            *(of.level(item, row, column) for column in ("ACC", "RACC")),
            *([of.printed(item, row, column) for column in printed] or ["", ""]),
            *([of.gap(item, row, chance, column) for column in gained] or ["", ""]),
        ]

    head = ["clean, %", "robust, %", "paper: clean", "paper: robust", "clean less random", "robust less random"]
    words = (
        f"- `coreset` Table 3: Fast AT on half of the data ({_seeds(of, item, every.values(), 'ACC')}). Robust accuracy is under "
        "PGD-50-10. The last two columns are points above random subsets of as many images."
    )
    table = rows_of(["trained on", *head], ([name, *cells(row)] for name, row in every.items()))
    return "\n".join([words, *table])


def _autopsy(of: Findings) -> str:
    item = "coreset/autopsy"
    rows = {
        "training on batches that CRAIG did not score": "Craig: batches that were not scored",
        "CRAIG's batches kept whole": "Craig: batches kept whole",
        "GRAD-MATCH's batches kept whole": "GradMatch: batches kept whole",
        "GRAD-MATCH's early stop and random fill-up": "GradMatch: early stop, fill-up",
        "the idle gap": "GradMatch: idle gap",
        "gradients in training mode": "GradMatch: training mode",
        "TRADES whose BatchNorm is not updated": "TRADES: BatchNorm not updated",
    }
    rows_run = {name: row for name, row in rows.items() if of.has(item, row, "clean")}
    lacking = ", ".join(name for name in rows if name not in rows_run)
    return (
        "- `coreset`: what each difference of the authors' code changes, one at a time on the same table "
        f"({_seeds(of, item, rows_run.values(), 'clean')}), in points clean and robust: "
        f"{_differences(of, item, rows_run, 'PGD-50-10', 1)}.{f' Not run: {lacking}.' if lacking else ''}"
    )


def _levels(of: Findings, item: str, rows: Mapping[str, str], attack: str) -> str:
    """The clean accuracy of each named row and its accuracy under an attack."""
    return ", ".join(
        f"{name} {of.level(item, row, 'Clean')} and {of.level(item, row, attack)}" for name, row in rows.items()
    )


def _differences(of: Findings, item: str, rows: Mapping[str, str], attack: str, digits: int) -> str:
    """For rows whose cells are differences: the clean one of each named row and the one under an attack."""
    return "; ".join(
        f"{name} {of.interval(item, row, 'clean', digits)} and {of.interval(item, row, attack, digits)}"
        for name, row in rows.items()
    )


def _removal(of: Findings) -> str:
    item = "qtart/decomposition"
    rows = {
        "label smoothing alone": "0 | Baseline + label smoothing",
        "Q-TART's removal alone": "0.25 | Q-TART's removal",
        "random removal": "0.25 | Random",
        "both, which is Q-TART": "0.25 | Q-TART (Ours)",
    }
    columns = ("clean", "FGSM, radius 2/255")
    before, after = (
        of.printed("qtart/table1", f"VGG16 | {name}", "CIFAR-10") for name in ("Baseline", "Q-TART (Ours)")
    )
    words = (
        f"- `qtart`: the blocks of VGG16, standard training ({_seeds(of, item, rows.values(), 'clean')}), in points above plain "
        f"SGD. In the paper clean accuracy is {before} % for SGD and {after} % for Q-TART."
    )
    cells = ([name, *(of.interval(item, row, column) for column in columns)] for name, row in rows.items())
    return "\n".join([words, *rows_of(["", *columns], cells)])


def _classes(of: Findings) -> str:
    matrix, hard = "sat/figure2", ("cat", "dog", "car", "truck")
    full = of.mean(matrix, "full AT", "A")
    paper = of.printed("sat/figure6", "CIFAR-10 | hardest | full AT", "robust accuracy (AutoAttack l2)")
    words = (
        f"- `sat`: four classes of Figure 2, with the authors' weights w_A = |B|/|A| ({_seeds(of, matrix, hard, 'A')}). Full "
        f"adversarial training reaches {full} % robust accuracy (the paper: {paper} %)."
    )
    head = [
        "attacked class",
        "robust accuracy on it, %",
        "points that the nine others gain over a training without attacks",
    ]
    cells = ([name, of.mean(matrix, name, "A"), of.mean(matrix, name, "gain on B")] for name in hard)
    return "\n".join([words, *rows_of(head, cells)])


def _slips_of_sat(of: Findings) -> str:
    """Where the authors' code differs: its slice of the images, and the weight of the attacked class, where w = 1 was trained."""
    item, full = "sat/autopsy", "full AT | full AT"
    rows = {"all classes (full AT)": full} | {name: f"{name} | CSAT" for name in ("car", "truck", "cat", "dog")}
    heads = {
        "robust, 8,000 images": "robust: first 8/9 of the images less all",
        "clean, all 10,000": "clean: all 10,000 images less the attacked ones",
    }
    trained = _seeds(of, item, [f"{row} | {change}" for row in rows.values() for change in heads], "points")
    words = (
        f"- `sat`: what differences of the authors' code change, in points on the same networks ({trained}). It takes robust "
        "accuracy over 8,000 of the 9,000 attacked images, and clean accuracy over all 10,000; most of the latter difference may "
        "come from which images are attacked."
    )
    if of.has(item, "car | CSAT | robust, weights", "points"):
        weighted = {"robust, weights": "robust: weights less w = 1", "clean, weights": "clean: weights less w = 1"}
        alone = _seeds(of, item, [f"{row} | robust, weights" for row in rows.values() if row != full], "points")
        words += (
            f" Its weights, against the w = 1 of the paper's text, were trained with {alone}; each network is that of its most "
            "robust epoch."
        )
        heads |= weighted

    def cell(row: str, change: str) -> str:
        if "weights" in change:
            return "" if row == full else of.interval(item, f"{row} | {change}", "points", 1)
        return of.interval(item, f"{row} | {change}", "points")

    table = ([name, *(cell(row, change) for change in heads)] for name, row in rows.items())
    return "\n".join([words, *rows_of(["attacked", *heads.values()], table)])


def _hardest(of: Findings) -> str:
    item, robust = "sat/figure6", "robust"
    rows = {
        f"{which} {share} %": _esat(order, share)
        for share in ("10", "30", "50")
        for order, which in (("hardest", "hardest"), ("random", "a random"))
        if of.has(item, _esat(order, share), robust)
    }
    words = (
        "- `sat`: attacks on the hardest images only (ESAT, Figure 6; "
        f"{_seeds(of, item, rows.values(), robust)}), clean and robust accuracy in %."
    )
    rows |= {"all": "CIFAR-10 | ResNet-18 | full AT | full AT"}
    cells = ([name, of.level(item, row, "clean"), of.level(item, row, robust)] for name, row in rows.items())
    return "\n".join([words, *rows_of(["attacked images", "clean", "robust"], cells)])


def _esat(order: str, share: str) -> str:
    return f"CIFAR-10 | ResNet-18 | {order} | ESAT | {share}"


def _first_phase(of: Findings) -> str:
    item = "saliency/phase1"
    rows = {
        "OURS after the first phase": "CIFAR-10 | OURS after phase 1",
        "its teacher (PGD)": "CIFAR-10 | AT (PGD-7), the teacher",
        "standard training": "CIFAR-10 | Standard training",
    }
    trained = _seeds(of, item, rows.values(), "Clean")
    return (
        f"- `saliency`, the first phase at the paper's own beta and gamma ({trained}). "
        f"Clean and robust accuracy (PGD-20): {_levels(of, item, rows, 'PGD-20')}. "
        "In the paper OURS is 1 to 2 points above its teacher in both."
    )


def _batch_statistics(of: Findings) -> str:
    item = "saliency/autopsy"
    rows = ("OURS after phase 1", "AT (PGD-7), the teacher", "Standard training")
    changes = ", ".join(f"{of.interval(item, row, 'PGD-20', 1)} ({row})" for row in rows)
    standard = f"{rows[-1]}, {_seeds(of, item, rows[-1:], 'FGSM')}"
    return (
        "- `saliency`: BatchNorm takes the statistics of 100 attacked test images, as in the authors' evaluation, in place of "
        f"the running statistics. On the same networks ({_seeds(of, item, rows, 'PGD-20')}) this changes accuracy under "
        f"PGD-20, in points, by {changes}, and under FGSM by {of.interval(item, rows[-1], 'FGSM', 1)} ({standard})."
    )


def _pruned(of: Findings) -> str:
    item, column = "advprune/variants", "PGD | ε = 8/255"
    rows = {
        "all data": "beta 1 | TRADES, the pruned runs' beta and learning rate",
        "random subsets": "beta 1 | Random, drawn again",
        "GLISTER": "beta 1 | Adv-GLISTER",
        "GRAD-MATCH": "beta 1 | Adv-GRAD-MATCH (Ours)",
    }
    return (
        f"- `advprune`: TRADES with beta 1 on 30 % of the data ({_seeds(of, item, rows.values(), column)}). Clean and robust "
        f"accuracy (PGD-50-10): {_levels(of, item, rows, column)}."
    )


# What an item on real photographs shows: the words, and after a newline the lines of a table.
SENTENCES: dict[str, Callable[[Findings], str]] = {
    "coreset/table3": _fast_coresets,
    "coreset/autopsy": _autopsy,
    "qtart/decomposition": _removal,
    "sat/figure2": _classes,
    "sat/autopsy": _slips_of_sat,
    "sat/figure6": _hardest,
    "saliency/phase1": _first_phase,
    "saliency/autopsy": _batch_statistics,
    "advprune/variants": _pruned,
}


def of_replicated(folder: Path, papers: Path) -> Findings:
    """The findings of ``replicated/``, beside the papers' numbers."""
    kept: dict[str, dict[tuple[str, str], replicated.Cell]] = {}

    def cell(item: str, row: str, column: str) -> replicated.Cell:
        if item not in kept:
            cells = replicated.load(*item.split("/"), folder)
            kept[item] = {(r, c): cell for (r, c, _), cell in cells.items()}
        if (row, column) not in kept[item]:
            raise ValueError(f"README: {folder}/{item}.csv has no cell {row!r}, {column!r}")
        return kept[item][row, column]

    def printed(item: str, row: str, column: str) -> str:
        return published.lookup(*item.split("/"), row, column, papers).text

    return Findings(lambda *name: cell(*name).values, printed, lambda *name: cell(*name).interval())
