"""What each scale changes for adversarial coreset selection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leanat.experiments import scales
from leanat.experiments.paper import Cell
from leanat.experiments.spec import merge, part

PERCEPTUAL = ("pat", "pat_craig", "pat_gradmatch")
FROM_DIGITS = "its near-copies, tail and wrong labels are made from the digits of the demo"
BY_RATIO = ("table1", "table2", "figure2", "figure3", "variants", "gradient_error", "sweeps")  # epochs by one factor


class PaperScale(scales.Scale):
    """Every value is the paper's."""

    def skip(self, cell: Cell) -> str | None:
        return FROM_DIGITS if cell["item"] == "redundancy" else None


class Demo(scales.Demo):
    """The digits for TRADES, PGD and Fast AT, drawn shapes for perceptual attacks."""

    def stand_in(self, cell: Cell) -> str:
        data = cell["data"]
        if data == "imagenet12":
            return "shapes12"
        if data in scales.DIGITS:
            return data
        return "shapes10" if cell["item"] == "table2" or cell["method"] in ("alexnet", *PERCEPTUAL) else "digits"

    def epochs(self, cell: Cell) -> tuple[float, int]:
        return (0.2, 5) if cell["method"].startswith("fat") else (0.12, 5)

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        spec = super().change(spec, cell)
        if cell["data"] in scales.DIGITS:
            spec = merge(spec, {"data": {"validation": None}, "recipe": {"lr": scales.cosine(0.1, 0.3)}})
        if cell["item"] == "redundancy":  # 64 examples are four batches
            spec = merge(spec, {"recipe": {"batch": 16}})
        if cell["data"] in ("shapes10", "shapes12"):
            recipe = {"batch": 64, "lr": scales.cosine(0.1, 0.3), "weight_decay": 0.0005, "nesterov": True}
            spec = merge(spec, {"data": {"augment": scales.CROP2}, "recipe": recipe})
        if cell["method"] == "alexnet":
            spec = merge(spec, {"recipe": {"lr": scales.cosine(0.02, 0.3)}})
        if cell["method"] in PERCEPTUAL:
            attack = part("perceptual", attack=part("fast_lpa", steps=5))
            spec = merge(spec, {"data": {"validation": None}, "method": {"attack": attack}})
        return spec

    def attack(self, entry: dict[str, Any], name: str, cell: Cell) -> dict[str, Any]:
        entry = super().attack(entry, name, cell)
        if name == "gradients":  # batches of the same size as in the trainings
            return merge(entry, {"measure": part("gradient_error", batch=32)})
        if name.startswith("eps"):
            return scales.shorter(entry, f"pgd-20-1 at {name}", pgd={"steps": 20, "restarts": 1})
        return entry

    def skip(self, cell: Cell) -> str | None:
        return "on digits the table variants says it, for PGD" if cell["item"] == "autopsy" else super().skip(cell)

    def unmeasured(self, cell: Cell) -> str | None:
        if cell["item"] == "table2" and cell.get("metric") == "minutes":
            return "not measured at demo: a step of PAT on ResNet-50 takes minutes on a CPU"
        return None

    def notes(self, cell: Cell) -> Iterable[str]:
        if cell["item"] == "redundancy":
            yield f"1,197 test images; batch 16; {scales.DIGITS_RECIPE}; no training images are held out"
        elif cell["data"] in scales.DIGITS:
            yield scales.DIGITS_NOTE + "; no training images are held out"
        if cell["method"].startswith("l2"):
            yield "digits in place of SVHN too; 80/255 in l_2 becomes 0.8"
        if cell["item"] in (*BY_RATIO, "redundancy"):
            yield "epochs x 0.12, and every other count of epochs in proportion"
        if cell["item"] == "table3":
            yield "epochs x 0.2, and every other count of epochs in proportion"
        elif cell["method"] == "fat":
            yield "Fast AT: epochs x 0.2"
        if cell["item"] == "table2":
            yield (
                "drawn shapes of 16 x 16, none held out; crops by 2 pixels and flips, no change of colour or rotation; batch 64; "
                f"cosine learning rate from 0.1 after 30 % warm-up; {scales.OPTIMISER_NOTE}; training attack of 5 steps, not 10"
            )


class Lite(scales.Lite):
    """Table 3 runs completely. Elsewhere a fifth of the epochs, rounded: those of Fast AT and PAT are not all multiples of 5."""

    def epochs(self, cell: Cell) -> tuple[float, int]:
        return (1, 1) if cell["item"] in ("table3", "autopsy") else (0.2, 5)

    def skip(self, cell: Cell) -> str | None:
        return FROM_DIGITS if cell["item"] == "redundancy" else super().skip(cell)

    def notes(self, cell: Cell) -> Iterable[str]:
        if cell["item"] in BY_RATIO:
            yield "epochs x 1/5, and every other count of epochs in proportion"
        if cell["item"] in ("table3", "autopsy"):
            yield "all the paper's epochs"


class Cpu(scales.Cpu):
    """Fast AT: Table 3, and the differences of the authors' code (autopsy), where two trainings are by TRADES."""

    def epochs(self, cell: Cell) -> tuple[float, int]:
        return (0.09 if cell["method"].startswith("trades") else 0.15), 5

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        selector = spec["method"]["selector"]
        if "warm_start" in selector:
            spec = merge(spec, {"method": {"selector": part("warm_start", period=2)}})
        return scales.fewer_steps(super().change(spec, cell), 2, 5 / 255)

    def skip(self, cell: Cell) -> str | None:
        if cell["item"] in ("table3", "autopsy"):
            return super().skip(cell)
        return FROM_DIGITS if cell["item"] == "redundancy" else "not run at cpu: Fast AT alone (table3, autopsy)"

    def unmeasured(self, cell: Cell) -> str | None:
        timed = cell.get("metric") in ("minutes", "minutes_per_epoch")
        return "not measured at cpu: demo measures the paper's own networks and settings" if timed else None

    def notes(self, cell: Cell) -> Iterable[str]:
        yield (
            "epochs x 0.15 (9 of 60), and every other count of epochs in proportion, but a selection every 2 epochs, not every "
            "one: it passes over all images three times"
        )
        if cell["method"].startswith("trades"):
            yield "TRADES: epochs x 0.09 (9 of 100), training attack of 2 steps of 5/255"


SCALES = {scale.name: scale for scale in (PaperScale(), Demo(), Lite(), Cpu())}
