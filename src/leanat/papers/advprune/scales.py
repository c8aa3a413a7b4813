"""What each scale changes for Adv-GLISTER and Adv-GRAD-MATCH."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leanat.experiments import scales
from leanat.experiments.paper import Cell
from leanat.experiments.spec import merge

FEWER = (0.15, 5)  # 5 periods in 100 epochs, 10 in 200
ETA = "GLISTER looks ahead by the learning rate that its run has at scale paper, not by this scale's"


class Demo(scales.Demo):
    """The digits instead of CIFAR-10, with as many selections as in the paper."""

    fewer_epochs = FEWER

    def stand_in(self, cell: Cell) -> str:
        return "digits" if cell["data"] == "cifar10" else cell["data"]

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        spec = super().change(spec, cell)
        if cell["data"] == "digits":
            spec = merge(spec, {"recipe": {"lr": scales.cosine(0.1, 0.3)}})
        return spec

    def skip(self, cell: Cell) -> str | None:
        if cell.get("data") == "cifar100":
            return "not run at demo: one data set is enough to see the mechanism, and two take half an hour"
        return super().skip(cell)

    def notes(self, cell: Cell) -> Iterable[str]:
        yield scales.DIGITS_NOTE
        yield "epochs x 0.15, and every other count of epochs in proportion: as many selections as in the paper"
        yield ETA


class Lite(scales.Lite):
    """Fewer epochs, with as many selections as in the paper."""

    fewer_epochs = FEWER

    def notes(self, cell: Cell) -> Iterable[str]:
        yield "epochs x 0.15, and every other count of epochs in proportion"


class Cpu(scales.Cpu):
    """TRADES with the pruned runs' beta: all data, random subsets and both methods (variants)."""

    fewer_epochs = FEWER

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        return scales.fewer_steps(super().change(spec, cell), 2, 5 / 255)

    def skip(self, cell: Cell) -> str | None:
        if cell["item"] != "variants" or cell.get("about") != "beta 1":
            return "not run at cpu: TRADES with beta 1 alone, 30 % kept (variants)"
        return super().skip(cell)

    def notes(self, cell: Cell) -> Iterable[str]:
        yield scales.SELECTED_NOTE + "; training attack, GLISTER's on validation examples too, of 2 steps of 5/255"
        yield ETA


SCALES = {scale.name: scale for scale in (Demo(), Lite(), Cpu())}
