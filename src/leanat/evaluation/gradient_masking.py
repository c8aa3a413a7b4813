"""Gradient masking: signs that a network is hard to attack because its gradients mislead, not because it is robust.

The signs are those of Athalye et al. (2018) and Carlini et al. (2019). None proves masking, and their absence proves
nothing; each is a reason to distrust a robust accuracy that gradient attacks measured.
"""

from __future__ import annotations

from torch import nn

from leanat.attacks.autoattack import Square
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import ThreatModel
from leanat.core.nouns import Data
from leanat.core.precision import exact_fp32
from leanat.evaluation.evaluate import doubts, evaluate, sample

BATCH = 256  # images attacked at once
STRAY = 0.02  # share of images that a weaker attack may break and a stronger one miss, by chance
LOSS_GAP = 0.05  # PGD on the margin usually beats PGD on cross-entropy by 1 or 2 points


@exact_fp32()
def masking_report(
    net: nn.Module, data: Data, threat: ThreatModel, *, seed: int, limit: int = 256, steps: int = 20, queries: int = 500
) -> list[str]:
    """Reasons to suspect gradient masking, as sentences; empty if none was found.

    On ``limit`` images: outputs random or probabilities, gradients inside the forward pass, input gradients exactly 0;
    PGD on cross-entropy much weaker than on the margin; one step of FGSM, random noise (20 draws in the ball) or Square
    (``queries`` without gradients) breaking what PGD does not.
    """
    index = sample(len(data), limit).to(data.labels.device)
    reasons = doubts(net, data, index, seed, BATCH)

    def right(attack):
        return evaluate(net, data, attack, seed=seed, index=index, batch=BATCH).correct

    step_size = 2.5 * threat.eps / steps
    ce = right(PGD(threat, steps, step_size, "uniform"))
    margin = right(PGD(threat, steps, step_size, "uniform", "margin"))
    fgsm = right(PGD(threat, 1, threat.eps, "none"))
    noise = right(PGD(threat, 1, 0.0, "uniform", restarts=20))  # steps of size 0: the random starts alone
    square = right(Square(threat, queries))

    if ce.mean() - margin.mean() > LOSS_GAP:
        reasons.append(f"PGD leaves {ce.mean():.1%} right on cross-entropy, {margin.mean():.1%} on the margin.")
    for name, broken, missed_by, stands in (
        ("One step of FGSM", ~fgsm, "PGD", ce),
        ("Random noise", ~noise, "PGD", ce),
        ("Square, without gradients,", ~square, "PGD on either loss", ce & margin),
    ):
        if (stray := (broken & stands).mean()) > STRAY:
            reasons.append(f"{name} breaks {stray:.1%} of the images that {missed_by} does not.")
    return reasons
