"""What each scale changes for Q-TART."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leanat.experiments import scales
from leanat.experiments.paper import Cell
from leanat.experiments.spec import merge, part
from leanat.papers.qtart.methods import REMOVING, SCHEDULED

ON_SHAPES = ("figure1", "figure2", "figure3", "figure4", "figure5", "overfitting")  # items on drawn shapes at demo
PLANTED = "real data: no example is planted"
EPISODES = (
    "DIHCL: its episodes that would open in one epoch are one, 6 to 8 of 11 or 12, and what falls from episode to episode falls "
    "less far: in the last it draws 48 to 59 % of the examples, not 31 to 35 %"
)


class PaperScale(scales.Scale):
    """Every value is the paper's."""

    def skip(self, cell: Cell) -> str | None:
        return PLANTED if cell["item"] == "planted" else None


class Demo(scales.Demo):
    """The digits for tables, drawn shapes for figures. Trainings are so short that tau is raised; else the network would be
    untrained at the removal.
    """

    def stand_in(self, cell: Cell) -> str:
        if cell["item"] == "planted":
            return "shapes10-32"
        small = "shapes10" if cell["item"] in ON_SHAPES else "digits"
        return small if cell["data"] == "cifar10" else cell["data"]

    def epochs(self, cell: Cell) -> tuple[float, int]:
        if cell["method"] in ("free", "qtart_free"):
            return 0.02, 6  # 8 replays in each epoch
        if cell["method"] in ("fgsm_rs", "qtart_fgsm_rs", "fgsm_rs_guarded"):
            return 0.06, 18
        if cell["item"] in (*ON_SHAPES, "decomposition"):
            return 0.04, 12
        return (0.0667, 12) if cell["item"] == "planted" else (0.05, 12)

    def removed(self, cell: Cell) -> float:
        """The factor of the share that is removed: 20, or 1 for ``decomposition``, where this share is the axis."""
        return 1 if cell["item"] == "decomposition" else 20

    def radii(self, cell: Cell) -> dict[str, float]:
        # with radius 10/255 the smallest networks learn nothing in 12 epochs
        return {"linf": 0.5} if cell["data"] == "shapes10" else dict(super().radii(cell))

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        data, method = cell["data"], cell["method"]
        # with the paper's proportion, tau would come after 10 to 40 optimiser steps
        spec = super().change(scales.scale_fields(spec, tau=2), cell)
        if data in ("shapes10", "shapes10-32"):
            spec = merge(spec, {"recipe": {"batch": 64, "weight_decay": 0.0005, "nesterov": True}})
        if data == "shapes10":
            spec = merge(spec, {"data": {"augment": scales.CROP2}})
        if data in ("digits", "shapes10", "shapes10-32") and method not in SCHEDULED:
            # the warm-up is so short that every tau comes after it
            spec = merge(spec, {"recipe": {"lr": scales.cosine(0.1, 0.1)}})
        if data in ("digits", "shapes10") and method in REMOVING:
            spec = merge(spec, {"method": {"selector": part("once", inner=part("instability", filters=8))}})
        if cell["item"] == "decomposition":  # has 20 seeds
            spec = merge(spec, {"recipe": {"batch": 64}})
        if cell["item"] == "table2" and data == "digits":
            spec = merge(spec, {"data": {"validation": 0.2}})
        return spec

    def attack(self, entry: dict[str, Any], name: str, cell: Cell) -> dict[str, Any]:
        entry = super().attack(entry, name, cell)
        return merge(entry, {"examples": None}) if name in ("apgd_ce", "apgd_dlr") else entry

    def candidates(self, cell: Cell) -> list[int] | None:
        return [25, 125, 300]

    def skip(self, cell: Cell) -> str | None:
        if cell["item"] == "table1" and cell.get("data") == "cifar100":
            return "not run at demo: one data set is enough to see the mechanism"
        return super().skip(cell)

    def notes(self, cell: Cell) -> Iterable[str]:
        data, method, item = cell["data"], cell["method"], cell["item"]
        if data == "digits":
            yield (
                "digits: 600 training and 1,197 test images of 8 x 8 in place of CIFAR-10; no augmentation; batch 32 "
                "(decomposition: 64); nothing in them is noisy, so that removing examples can gain little"
            )
        if data == "shapes10":
            yield (
                "drawn shapes (2,000 training and 500 test images of 16 x 16) in place of CIFAR-10; radii x 0.5 (8/255 becomes "
                "4/255); crops by 2 pixels and flips; batch 64"
            )
        if item == "planted":
            yield (
                "planted: drawn shapes (2,000 training images of 32 x 32, batch 64, crop and flip), 20 epochs for 300 "
                "(MobileNet 23 for 350), tau in the paper's proportion"
            )
        if item == "table2":
            yield (
                "20 % of the training images held out, not 10 %, of which the share that is removed is x 22.5; gamma is chosen "
                "among 25, 125 and 300 alone"
            )
        yield scales.OPTIMISER_NOTE
        if data in ("digits", "shapes10"):
            yield from self._lengths(cell)
            if method in REMOVING:
                yield "instability by 8 filters of each layer where the paper has 12 to 17, as the layers are narrow"
            if "dihcl" in method:
                yield "DIHCL without its rotation, AutoAugment and cutout"
                yield EPISODES

    def _lengths(self, cell: Cell) -> Iterable[str]:
        method, (factor, least) = cell["method"], self.epochs(cell)
        of = (
            "Free-AT: outer passes, of 8 replays each,"
            if "free" in method
            else "FGSM-RS: epochs"
            if "fgsm" in method
            else "epochs"
        )
        yield f"{of} x {factor:.2g} (at least {least}), and every other count of epochs in proportion"
        if method in ("random", "loss_rank", "loss_rank_bare", *REMOVING):
            yield (
                "tau twice what the proportion gives (in tables 4 of 12 to 15 epochs for the paper's 50 of 300), so that the "
                "removal is by a network that has learned something; the share of examples that is removed x 20 "
                "(decomposition: as its axis says, rounded: 0.25 % are 2 of 600)"
            )
        if method not in SCHEDULED:
            yield "a cosine learning rate from 0.1 after 10 % warm-up, which is over before any removal"


class Lite(scales.Lite):
    """A twentieth of the epochs, with the paper's proportions."""

    fewer_epochs = (0.05, 5)

    def skip(self, cell: Cell) -> str | None:
        return super().skip(cell) or (PLANTED if cell["item"] == "planted" else None)

    def notes(self, cell: Cell) -> Iterable[str]:
        yield "epochs x 1/20, and every other count of epochs in proportion"
        yield EPISODES


class Cpu(scales.Cpu):
    """A network of VGG16's blocks: Table 1, and Q-TART's removal and label smoothing one at a time (decomposition)."""

    fewer_epochs = (0.05, 5)
    rise = 0.1

    def removed(self, cell: Cell) -> float:
        return 1

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        spec = super().change(scales.scale_fields(spec, tau=2), cell)
        if cell["method"] in REMOVING:
            spec = merge(spec, {"method": {"selector": part("once", inner=part("instability", filters=6))}})
        return spec

    def skip(self, cell: Cell) -> str | None:
        item = cell["item"]
        if item not in ("table1", "decomposition") or cell.get("model") not in (None, "vgg16"):
            return PLANTED if item == "planted" else "not run at cpu: VGG16 alone (table1, decomposition)"
        if cell.get("method") in ("dihcl", "loss_rank", "qtart_late"):
            return "not run at cpu: SGD, its label smoothing, random removal and Q-TART alone"
        if cell.get("share") in (10, 30) or cell.get("method") == "loss_rank_bare":
            return "not run at cpu: the paper's share alone, and no removal by the loss"
        return super().skip(cell)

    def notes(self, cell: Cell) -> Iterable[str]:
        yield (
            "epochs x 1/20, and every other count of epochs in proportion, but tau twice that, rounded first (4 of 15 for the "
            "paper's 50 of 300), after the learning rate has risen (10 % of the epochs); as many examples removed as in the "
            "paper, by 6 filters of each layer, not 17, as the layers are about a quarter as wide"
        )


SCALES = {scale.name: scale for scale in (PaperScale(), Demo(), Lite(), Cpu())}
