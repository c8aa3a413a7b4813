"""leanat: lean adversarial training, five papers replicated in one package.

The names below are its public interface, for networks and data of one's own (docs/library.md); torch is imported when the first
of them is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanat.library.attacks import (
        apgd,
        autoattack,
        di2_fgsm,
        fab,
        fgsm,
        fgsm_rs,
        jpeg,
        mi_fgsm,
        perturb,
        pgd,
        recoloradv,
        square,
        stadv,
    )
    from leanat.library.evaluate import Accuracy, evaluate
    from leanat.library.select import Reselect, Selected, indexed, make_selector, select
    from leanat.library.train import make_method, make_recipe, train

__version__ = "0.2.0"

__all__ = [
    "Accuracy", "Reselect", "Selected", "apgd", "autoattack", "di2_fgsm", "evaluate", "fab", "fgsm", "fgsm_rs",
    "indexed", "jpeg", "make_method", "make_recipe", "make_selector", "mi_fgsm", "perturb", "pgd", "recoloradv",
    "select", "square", "stadv", "train",
]  # fmt: skip
_MODULES = {
    **dict.fromkeys(["Accuracy", "evaluate"], "evaluate"),
    **dict.fromkeys(["Reselect", "Selected", "indexed", "make_selector", "select"], "select"),
    **dict.fromkeys(["make_method", "make_recipe", "train"], "train"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'leanat' has no attribute {name!r}")
    return getattr(importlib.import_module(f"leanat.library.{_MODULES.get(name, 'attacks')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
