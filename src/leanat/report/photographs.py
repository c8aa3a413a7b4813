"""The findings in README.md on real photographs: sentences whose numbers are read from ``replicated/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from leanat.experiments.scales import SCALES
from leanat.report import published, replicated
from leanat.report.findings import Findings


def photographs(real: Path, papers: Path) -> list[str]:
    """What training on real photographs shows, an item of ``real`` an entry; ``papers``: the folder of their numbers."""
    of, made = of_replicated(real, papers), {f"{path.parent.name}/{path.stem}" for path in real.glob("*/*.csv")}
    entries, scales = [], {}
    for item, tell in SENTENCES.items():
        if item in made:
            scale = next(iter(replicated.load(*item.split("/"), real).values())).scale
            entries.append(f"{tell(of)} Scale {scale}.")
            told = (SCALES[scale].attacked, SCALES[scale].ensemble) if scale in SCALES else ()
            scales[scale] = ", ".join(filter(None, told))
    return entries + [f"- Scale {scale}: {attacked}." for scale, attacked in scales.items() if attacked]


def _seeds(of: Findings, item: str, rows: Iterable[str], column: str) -> str:
    """How many seeds the rows have, the fewest and the most where they differ."""
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

    def both(row: str) -> str:
        own = f"{of.level(item, row, 'ACC')} and {of.level(item, row, 'RACC')}"
        if row == chance:
            return own
        return f"{own} (the paper: {of.printed(item, row, '↑ ACC (%)')} and {of.printed(item, row, '↑ RACC (%)')})"

    against = "; ".join(
        f"{name} {of.gap(item, row, chance, 'ACC')} and {of.gap(item, row, chance, 'RACC')}"
        for name, row in rows.items()
    )
    trained = _seeds(of, item, [full, chance, *rows.values()], "ACC")
    return (
        f"- `coreset` Table 3, Fast AT and half of the data ({trained}). Clean and robust accuracy "
        f"(PGD-50-10): full training {both(full)}, GRAD-MATCH {both(rows['GRAD-MATCH'])}, CRAIG {both(rows['CRAIG'])}, "
        f"random subsets of as many images {both(chance)}. Against random subsets, clean and robust: {against}."
    )


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
    made = {name: row for name, row in rows.items() if of.has(item, row, "clean")}
    lacking = ", ".join(name for name in rows if name not in made)
    return (
        "- `coreset`, what the authors' code does otherwise, one change at a time on the same table "
        f"({_seeds(of, item, made.values(), 'clean')}), in points clean and robust: "
        f"{_differences(of, item, made, 'PGD-50-10', 1)}.{f' Not run: {lacking}.' if lacking else ''}"
    )


def _levels(of: Findings, item: str, rows: Mapping[str, str], attack: str) -> str:
    """Of each named row the clean accuracy and that under an attack."""
    return ", ".join(
        f"{name} {of.level(item, row, 'Clean')} and {of.level(item, row, attack)}" for name, row in rows.items()
    )


def _differences(of: Findings, item: str, rows: Mapping[str, str], attack: str, digits: int) -> str:
    """Of each named row the clean difference and that under an attack, which are its cells."""
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
    gaps = _differences(of, item, rows, "FGSM, radius 2/255", 2)
    before, after = (
        of.printed("qtart/table1", f"VGG16 | {name}", "CIFAR-10") for name in ("Baseline", "Q-TART (Ours)")
    )
    return (
        f"- `qtart`, the blocks of VGG16, standard training ({_seeds(of, item, rows.values(), 'clean')}). Points above "
        f"plain SGD, clean and under FGSM of 2/255: {gaps} (clean accuracy in the paper: SGD {before} %, Q-TART {after} %)."
    )


def _classes(of: Findings) -> str:
    matrix, hard = "sat/figure2", ("cat", "dog", "car", "truck")
    found = ", ".join(f"{of.mean(matrix, c, 'A')} % and {of.mean(matrix, c, 'gain on B')} ({c})" for c in hard)
    full = of.mean(matrix, "full AT", "A")
    paper = of.printed("sat/figure6", "CIFAR-10 | hardest | full AT", "robust accuracy (AutoAttack l2)")
    return (
        f"- `sat`, four classes of Figure 2 with the authors' weights, w_A = |B|/|A| ({_seeds(of, matrix, hard, 'A')}): robust "
        "accuracy on the attacked class, and points that the nine others gain over a training without attacks: "
        f"{found}. Full adversarial training reaches {full} % (the paper: {paper} %)."
    )


def _slips_of_sat(of: Findings) -> str:
    item = "sat/autopsy"

    def of_trainings(change: str, digits: int) -> str:
        rows = {"full AT": "full AT | full AT"} | {name: f"{name} | CSAT" for name in ("car", "truck", "cat", "dog")}
        found = (f"{of.interval(item, f'{row} | {change}', 'points', digits)} ({name})" for name, row in rows.items())
        return ", ".join(found)

    trainings = ("full AT | full AT", *(f"{name} | CSAT" for name in ("car", "truck", "cat", "dog")))
    changes = ("clean, all 10,000", "robust, 8,000 images")
    trained = _seeds(of, item, [f"{row} | {change}" for row in trainings for change in changes], "points")
    return (
        f"- `sat`, what the authors' code reports otherwise, of the same networks ({trained}): points of robust accuracy on the "
        "first 8/9 of the attacked images (the code: 8,000 of 9,000) less that on all of them, "
        f"{of_trainings('robust, 8,000 images', 2)}; of clean accuracy on all 10,000 less that on the attacked ones, "
        f"{of_trainings('clean, all 10,000', 2)}, most of which may come from which images are attacked.{_weights(of)}"
    )


def _weights(of: Findings) -> str:
    """The weight of the attacked class against 1, where that was trained; empty where it was not."""
    item, rows = "sat/autopsy", {name: f"{name} | CSAT" for name in ("car", "truck", "cat", "dog")}
    if not of.has(item, "car | CSAT | robust, weights", "points"):
        return ""

    def by(change: str) -> str:
        found = (
            f"{of.interval(item, f'{row} | {change}, weights', 'points', 1)} ({name})" for name, row in rows.items()
        )
        return ", ".join(found)

    trained = _seeds(of, item, [f"{row} | robust, weights" for row in rows.values()], "points")
    return (
        f" The authors' weights less w = 1, as the paper's text has it ({trained}): points of robust accuracy {by('robust')}, of "
        f"clean accuracy {by('clean')}; each network is that of its most robust epoch."
    )


def _hardest(of: Findings) -> str:
    item, robust = "sat/figure6", "robust"
    shares = [share for share in ("10", "30", "50") if of.has(item, _esat("hardest", share), robust)]
    chance = [share for share in shares if of.has(item, _esat("random", share), robust)]

    def both(row: str) -> str:
        return f"{of.level(item, row, 'clean')} and {of.level(item, row, robust)}"

    told = "; ".join(
        f"{share} % of the images {both(_esat('hardest', share))}"
        + (f", as many at random {both(_esat('random', share))}" if share in chance else "")
        for share in shares
    )
    every = [*(_esat("hardest", share) for share in shares), *(_esat("random", share) for share in chance)]
    return (
        f"- `sat`, attacks on the hardest images alone (ESAT, Figure 6; {_seeds(of, item, every, robust)}), clean and robust "
        f"accuracy: {told}; all of them {both('CIFAR-10 | ResNet-18 | full AT | full AT')}."
    )


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
        "The paper says that it is 1 to 2 points above its teacher in both."
    )


def _batch_statistics(of: Findings) -> str:
    item = "saliency/autopsy"
    rows = ("OURS after phase 1", "AT (PGD-7), the teacher", "Standard training")
    told = ", ".join(f"{of.interval(item, row, 'PGD-20', 1)} ({row})" for row in rows)
    standard = f"{rows[-1]}, {_seeds(of, item, rows[-1:], 'FGSM')}"
    return (
        f"- `saliency`, BatchNorm with the statistics of 100 attacked test images, as the authors' code evaluates, less running "
        f"statistics, of the same networks ({_seeds(of, item, rows, 'PGD-20')}): points under PGD-20 {told}, under FGSM "
        f"{of.interval(item, rows[-1], 'FGSM', 1)} ({standard})."
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
        f"- `advprune`, TRADES with beta 1, 30 % of the data ({_seeds(of, item, rows.values(), column)}). Clean and robust "
        f"accuracy (PGD-50-10): {_levels(of, item, rows, column)}."
    )


# Of an item on real photographs, what says in words what it shows.
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
            found = replicated.load(*item.split("/"), folder)
            kept[item] = {(r, c): cell for (r, c, _), cell in found.items()}
        if (row, column) not in kept[item]:
            raise ValueError(f"README: {folder}/{item}.csv has no cell {row!r}, {column!r}")
        return kept[item][row, column]

    def printed(item: str, row: str, column: str) -> str:
        return published.lookup(*item.split("/"), row, column, papers).text

    return Findings(lambda *name: cell(*name).values, printed, lambda *name: cell(*name).interval())
