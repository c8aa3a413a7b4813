"""The methods of the Q-TART paper's tables: removal rule, label smoothing as in Q-TART or not, and attack of training."""

from __future__ import annotations

from typing import Any

METHODS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "random": {"removes": "random"},
    "dihcl": {},
    "qtart": {"removes": "instability", "smooths": True},
    # Q-TART's label smoothing without its removal; the paper's comparison does not separate the two
    "sgd_smoothed": {"smooths": True},
    "loss_rank": {"removes": "loss", "smooths": True},  # the same removal by training loss
    # the other value of section 3.3.1, "tau in {50, 100}"; appendix B.2 announces results for it and prints none
    "qtart_late": {"removes": "instability", "smooths": True, "tau": 100},
    "qtart_bare": {"removes": "instability", "bare": True},  # Q-TART's removal without its label smoothing
    "loss_rank_bare": {"removes": "loss", "bare": True},
    # [6], Table 8: a long schedule, which may overfit catastrophically; the monitor records this and changes nothing
    "fgsm_rs": {"attack": "fgsm_rs"},
    "qtart_fgsm_rs": {"removes": "instability", "smooths": True, "attack": "fgsm_rs"},
    # the early stopping of the code of [6], where it is off by default: a fall of more than 20 points ends the training
    "fgsm_rs_guarded": {"attack": "fgsm_rs", "drop": 0.2},
    "free": {"attack": "free"},  # [7], Table 8: epochs are outer passes
    "qtart_free": {"removes": "instability", "smooths": True, "attack": "free"},
}
OURS = {"sgd_smoothed", "loss_rank", "qtart_late", "fgsm_rs_guarded"}  # not in the paper
# Methods with Q-TART's own removal, and those with a schedule of their own.
REMOVING = tuple(name for name, how in METHODS.items() if how.get("removes") == "instability")
SCHEDULED = ("dihcl", *(name for name, how in METHODS.items() if "attack" in how))
