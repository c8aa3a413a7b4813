"""Attacks on any network: they take images [B, C, H, W] in [0, 1] and return adversarial images of the same shape and range.

net         any module that returns logits [B, K]
mean, std   what the network subtracts and divides by, if it expects normalised images; x is in [0, 1] in any case, since radii
            are in these units
seed        None: drawn from torch's generator, so that two calls differ, and ``torch.manual_seed`` makes a call repeatable

The network's mode, parameters, buffers and gradients stay as they are. Arguments that do not fit raise ValueError or
TypeError, in one line.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from leanat.attacks.autoattack import APGD, FAB, AutoAttack, Square
from leanat.attacks.jpeg import JPEG
from leanat.attacks.mifgsm import DI2FGSM, MIFGSM
from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.recoloradv import ReColorAdv
from leanat.attacks.stadv import StAdv
from leanat.attacks.threat import L2, Linf, ThreatModel
from leanat.core.errors import is_out_of_memory, named
from leanat.core.nouns import Attack, Step, held_constant, in_mode
from leanat.core.precision import exact_fp32
from leanat.core.rng import Draws
from leanat.library import checks
from leanat.library.checks import Channels
from leanat.library.network import Wrapped, own_modes
from leanat.library.own_attacks import check_radii, checked_attack

Start = Literal["none", "uniform", "gaussian", "any_norm"]
PGDLoss = Literal["ce", "margin", "kl"]
THREATS = {"linf": Linf, "l2": L2}


def threat_model(norm: str, eps: float) -> ThreatModel:
    """The ball of radius ``eps``, in units of pixels in [0, 1]; ``norm`` is linf or l2."""
    return named(THREATS, norm, "norm")(eps=eps)


@own_modes()
@exact_fp32()
def perturb(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    attack: Attack,
    *,
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """The adversarial images of any attack of ``leanat.attacks`` for x [B, C, H, W] in [0, 1] with labels y [B]."""
    checks.made(attack, "attack", "an attack of leanat.attacks")
    x = checks.images(x)
    if x.dtype not in (torch.float32, torch.float64):
        kind = str(x.dtype).removeprefix("torch.")
        raise ValueError(f"x is {kind}, too coarse for the edge of a ball; float32 is expected: x.float(), net.float()")
    y = checks.labels(y, len(x)).to(x.device)
    wrapped = Wrapped(net, mean, std, x.shape[1])
    if x.device != wrapped.device:
        raise ValueError(f"x is on {x.device}, the network on {wrapped.device}; both on one device are expected")
    if not len(x):
        return x.detach().clone()
    wrapped.labels_below = int(y.max()) + 1
    check_radii(attack, x[0])
    if seed is None:
        seed = int(torch.randint(2**62, ()))
    checks.whole(seed, "seed")
    index = torch.arange(len(x), device=x.device)
    weight = torch.ones(len(x), device=x.device)
    step = Step(0, index, x.detach(), y, weight, Draws(seed, 0, index))
    try:
        with in_mode(wrapped, training=False):
            x_adv = held_constant(checked_attack(attack), wrapped, step)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            wrapped.classes_of(x[:1], "x")  # raises where the network does not take such images
        raise
    return x_adv.detach().clone()  # ``Clean`` returns the images that it is given


def fgsm(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    mean: Channels | None = None,
    std: Channels | None = None,
) -> Tensor:
    """One step of length ``eps`` (Goodfellow et al. 2015)."""
    return perturb(net, x, y, fgsm_attack(threat_model(norm, eps)), mean=mean, std=std, seed=0)


def fgsm_rs(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    step_size: float | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """FGSM-RS: one step from a uniform random start (Wong et al. 2020). ``step_size`` None: 1.25 eps, as in the paper."""
    return perturb(net, x, y, fgsm_rs_attack(threat_model(norm, eps), step_size), mean=mean, std=std, seed=seed)


def pgd(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    steps: int = 10,
    step_size: float | None = None,
    start: Start = "uniform",
    loss: PGDLoss = "ce",
    restarts: int = 1,
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """Projected gradient ascent (Madry et al. 2018).

    ``step_size`` None: eps / 4, which is 2/255 at 8/255. ``start``: uniform in the ball, gaussian (TRADES), or none. ``loss``: ce
    (cross-entropy), margin (Carlini and Wagner), or kl to the clean prediction (TRADES). ``restarts``: number of runs, of which
    each image keeps the point of highest loss.
    """
    attack = pgd_attack(threat_model(norm, eps), steps, step_size, start, loss, restarts)
    return perturb(net, x, y, attack, mean=mean, std=std, seed=seed)


def mi_fgsm(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    steps: int = 10,
    step_size: float | None = None,
    decay: float = 1.0,
    mean: Channels | None = None,
    std: Channels | None = None,
) -> Tensor:
    """Momentum iterative FGSM (Dong et al. 2018), for transfer between networks. ``step_size`` None: eps / steps, as in the
    paper.
    """
    attack = MIFGSM(
        threat=threat_model(norm, eps),
        steps=steps,
        step_size=_share(eps, steps) if step_size is None else step_size,
        decay=decay,
    )
    return perturb(net, x, y, attack, mean=mean, std=std, seed=0)


def di2_fgsm(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    steps: int = 10,
    step_size: float | None = None,
    decay: float = 1.0,
    resize_rate: float = 0.9,
    diversity_prob: float = 0.5,
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """MI-FGSM on images that are randomly shrunk and padded (Xie et al. 2019); only for square images."""
    attack = DI2FGSM(
        threat=threat_model(norm, eps),
        steps=steps,
        step_size=_share(eps, steps) if step_size is None else step_size,
        decay=decay,
        resize_rate=resize_rate,
        diversity_prob=diversity_prob,
        random_start=False,
    )
    return perturb(net, x, y, attack, mean=mean, std=std, seed=seed)


def apgd(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    steps: int = 100,
    loss: Literal["ce", "dlr", "t"] = "ce",
    restarts: int = 1,
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """Auto-PGD (Croce and Hein 2020); ``loss``: ce, dlr (3 classes or more), or t, targeted (4 or more).

    An image for which it does not fool the network is returned unchanged, see ``leanat.attacks.autoattack.APGD``.
    """
    attack = APGD(threat=threat_model(norm, eps), loss=loss, steps=steps, restarts=restarts)
    return perturb(net, x, y, attack, mean=mean, std=std, seed=seed)


def fab(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    steps: int = 100,
    targeted: bool = False,
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """Fast adaptive boundary attack (Croce and Hein 2020): finds the nearest adversarial point, if it is inside the ball."""
    attack = FAB(threat=threat_model(norm, eps), targeted=targeted, steps=steps)
    return perturb(net, x, y, attack, mean=mean, std=std, seed=seed)


def square(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    queries: int = 5000,
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """Square Attack (Andriushchenko et al. 2020): random search, without gradients."""
    attack = Square(threat=threat_model(norm, eps), queries=queries)
    return perturb(net, x, y, attack, mean=mean, std=std, seed=seed)


def autoattack(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """AutoAttack's standard version (Croce and Hein 2020): its four parts, each on the images that are not fooled yet.

    An image for which every part fails is returned unchanged. With fewer than 4 classes the parts are apgd-ce, fab and square,
    which is not AutoAttack. To measure robust accuracy use ``evaluate``, which records the outcome of each image and checks
    the network.
    """
    return perturb(net, x, y, AutoAttack(threat=threat_model(norm, eps)), mean=mean, std=std, seed=seed)


def stadv(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    bound: float = 0.05,
    *,
    steps: int = 100,
    mean: Channels | None = None,
    std: Channels | None = None,
) -> Tensor:
    """Moves pixels by a smooth flow of at most ``bound``, in units in which the image's side is 2 (Xiao et al. 2018)."""
    return perturb(net, x, y, StAdv(bound=bound, steps=steps), mean=mean, std=std, seed=0)


def recoloradv(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    bound: float = 0.06,
    *,
    steps: int = 100,
    mean: Channels | None = None,
    std: Channels | None = None,
) -> Tensor:
    """Changes colours by at most ``bound`` in CIELUV scaled to [0, 1] (Laidlaw and Feizi 2019); 3 channels."""
    return perturb(net, x, y, ReColorAdv(bound=bound, steps=steps), mean=mean, std=std, seed=0)


def jpeg(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    bound: float = 0.125,
    *,
    steps: int = 200,
    mean: Channels | None = None,
    std: Channels | None = None,
    seed: int | None = None,
) -> Tensor:
    """Changes the quantised coefficients of a JPEG file by at most ``bound`` / 2 (Kang et al. 2019); 3 channels."""
    return perturb(net, x, y, JPEG(bound=bound, steps=steps), mean=mean, std=std, seed=seed)


def _share(eps: float, steps: int) -> float:
    """eps / steps; for invalid ``steps`` the attack itself raises the error."""
    return eps / steps if isinstance(steps, int | float) and steps > 0 else eps


def fgsm_attack(threat: ThreatModel) -> PGD:
    return PGD(threat=threat, steps=1, step_size=threat.eps, start="none")


def fgsm_rs_attack(threat: ThreatModel, step_size: float | None = None, training_mode: bool = False) -> PGD:
    step_size = 1.25 * threat.eps if step_size is None else step_size
    return PGD(threat=threat, steps=1, step_size=step_size, start="uniform", training_mode=training_mode)


def pgd_attack(
    threat: ThreatModel,
    steps: int = 10,
    step_size: float | None = None,
    start: Start = "uniform",
    loss: PGDLoss = "ce",
    restarts: int = 1,
) -> PGD:
    step_size = threat.eps / 4 if step_size is None else step_size
    return PGD(threat=threat, steps=steps, step_size=step_size, start=start, loss=loss, restarts=restarts)


NAMED = {  # attacks that are given by a name and a ball, with the settings of the functions above
    "clean": lambda threat: Clean(),
    "fgsm": fgsm_attack,
    "fgsm_rs": fgsm_rs_attack,
    "pgd": pgd_attack,
    "apgd": lambda threat: APGD(threat=threat, loss="ce"),
    "square": lambda threat: Square(threat=threat),
    "autoattack": lambda threat: AutoAttack(threat=threat),
}


def attack_of(which: str | Attack | None, eps: float, norm: str) -> Attack:
    """An attack by name, within the ball of radius ``eps``; an attack object is returned unchanged; None is no attack."""
    if which is None:
        return Clean()
    if isinstance(which, str):
        return named(NAMED, which, "attack")(threat_model(norm, eps))
    checks.made(which, "attack", "a name or an attack of leanat.attacks")
    return checked_attack(which)
