"""The training loop of the papers, for any network and any data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from torch import nn

from leanat.attacks.pgd import Clean
from leanat.core import loop
from leanat.core.errors import did_you_mean
from leanat.core.nouns import Attack, Hook, Method, Objective, Recipe, Run, Selector, Split
from leanat.data.augment import Piece
from leanat.library import checks
from leanat.library.attacks import fgsm_rs_attack, pgd_attack, threat_model
from leanat.library.checks import Channels
from leanat.library.data import AnyData, held_out_for, prepared
from leanat.library.network import own_modes, own_precision
from leanat.library.own_attacks import checked_attack
from leanat.library.select import CheckedSelector, check_selector, is_own
from leanat.selection.basic import Everything
from leanat.training.objectives import MART, TRADES, CrossEntropy
from leanat.training.schedules import Cosine

TRAININGS = ("standard", "pgd", "fgsm_rs", "trades", "mart")


def make_method(
    training: str = "pgd",
    eps: float = 8 / 255,
    *,
    norm: str = "linf",
    steps: int = 10,
    step_size: float | None = None,
    beta: float = 6.0,
    choose: Selector | None = None,
) -> Method:
    """A training method. ``choose`` selects the examples of each epoch, see ``make_selector``; None: all examples.

    standard   cross-entropy on unperturbed images
    pgd        cross-entropy under PGD: ``steps`` of ``step_size`` (None: eps / 4) from a uniform start (Madry et al. 2018)
    fgsm_rs    cross-entropy under one step of ``step_size`` (None: 1.25 eps) from a uniform start, in training mode (Wong et
               al. 2020)
    trades     cross-entropy plus ``beta`` times the KL divergence (Zhang et al. 2019); ``steps`` from a Gaussian start
    mart       boosted cross-entropy plus ``beta`` times a weighted KL divergence (Wang et al. 2020); a Gaussian start

    Raises ValueError for another name or impossible values.
    """
    if choose is not None:
        checks.made(choose, "choose", "what make_selector returns")
    threat = threat_model(norm, eps)
    objective: Objective = CrossEntropy()
    attack: Attack = Clean()
    if training == "pgd":
        attack = pgd_attack(threat, steps, step_size)
    elif training == "fgsm_rs":
        attack = fgsm_rs_attack(threat, step_size, training_mode=True)
    elif training == "trades":
        objective, attack = TRADES(beta=beta), pgd_attack(threat, steps, step_size, "gaussian", "kl")
    elif training == "mart":
        objective, attack = MART(beta=beta), pgd_attack(threat, steps, step_size, "gaussian")
    elif training != "standard":
        raise ValueError(f"method {training!r}{did_you_mean(training, TRAININGS)}")
    return Method(objective=objective, attack=attack, selector=choose or Everything())


def make_recipe(
    epochs: int = 30,
    batch: int = 128,
    lr: float = 0.1,
    *,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    warmup_share: float = 0.3,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Recipe:
    """SGD with Nesterov's momentum; the learning rate rises to ``lr`` over ``warmup_share`` of the epochs and falls as a cosine.

    ``precision``: fp32, or bf16 by autocast. For any other schedule use ``leanat.core.nouns.Recipe``.
    """
    return Recipe(
        epochs=epochs,
        batch=batch,
        lr=Cosine(lr=lr, warmup_share=warmup_share),
        momentum=momentum,
        nesterov=momentum > 0,
        weight_decay=weight_decay,
        precision=precision,
    )


@own_modes()
@own_precision()
def train(
    net: nn.Module,
    data: AnyData,
    method: str | Method = "pgd",
    recipe: Recipe | None = None,
    *,
    eps: float = 8 / 255,
    norm: str = "linf",
    mean: Channels | None = None,
    std: Channels | None = None,
    layer: str | None = None,
    validation: AnyData | None = None,
    augment: Sequence[Piece] = (),
    seed: int = 0,
    after_epoch: Callable[[dict[str, float]], bool | None] = lambda row: None,
) -> list[dict[str, float]]:
    """Trains ``net`` in place on its device. Returns one row per epoch: lr, loss, examples kept, passes, seconds.

    method        a name, within the ball of radius ``eps``, or the result of ``make_method``
    recipe        None: ``make_recipe()``
    data          (x, y) with x [N, C, H, W] in [0, 1] or uint8, a Dataset, or a folder of class folders
    augment       pieces of ``leanat.data``, such as (Crop(pad=4), Flip())
    validation    validation data, for methods that need them to choose (glister)
    layer         the name of the last linear layer, for methods that choose by gradients, if it is not found automatically
    after_epoch   is called with each row, and ends the training by returning True

    The network ends in training mode. All random numbers come from ``seed``, except those of a Dataset's own transforms.
    Raises ValueError, TypeError or DataError, in one line, and NonFiniteLoss.
    """
    way = make_method(method, eps, norm=norm) if isinstance(method, str) else method
    plan = make_recipe() if recipe is None else recipe
    for value, kind, what in ((way, Method, "method"), (plan, Recipe, "recipe")):
        if not isinstance(value, kind):
            raise TypeError(f"{what} is {checks.shown(value)}; what make_{what} returns is expected")
    if isinstance(augment, str) or not isinstance(augment, Sequence):
        raise TypeError(f"augment is {augment!r}; a tuple of pieces, such as (Crop(pad=4), Flip()), is expected")
    for piece in augment:
        checks.made(piece, "a piece of augment", "a piece of leanat.data")
    checks.made(after_epoch, "after_epoch", "a function of an epoch's row")
    checks.whole(seed, "seed")
    wrapped, examples = prepared(net, data, mean, std, [way], layer, augment, seed)
    if not any(p.requires_grad for p in wrapped.parameters()):
        raise ValueError("the network has no parameter to train: none, or each has requires_grad False")
    held_out = held_out_for(wrapped, validation)
    check_selector(way.selector, wrapped, held_out)
    if not isinstance(way.attack, Hook):  # a wrapped hook would no longer be called
        way = replace(way, attack=checked_attack(way.attack))
    if not is_own(way.selector) and not isinstance(way.selector, Hook):
        way = replace(way, selector=CheckedSelector(way.selector))
    run = Run(wrapped, way, plan, seed)
    if len(examples) <= plan.batch:  # then every epoch is a single batch
        times = (epoch + k / way.replays for epoch in range(plan.epochs) for k in range(way.replays))
        _check_rates(plan, [plan.lr(time, plan.epochs) for time in times])
    loop.train(run, Split(examples, held_out), lambda run: after_epoch(dict(run.history[-1])))
    if len(run.history) == plan.epochs and any(row["kept"] for row in run.history):
        _check_rates(plan, [row["lr"] for row in run.history])
    return run.history


def _check_rates(plan: Recipe, rates: Sequence[float]) -> None:
    """Raises ValueError if a schedule that rises from 0 has only its first step, so that the network learns nothing."""
    if not any(rates) and any(plan.lr(epoch + 0.5, plan.epochs) for epoch in range(plan.epochs)):
        raise ValueError(
            "the learning rate is 0 in every step: it rises from 0, and there is one step; "
            "more epochs, a smaller batch or warmup_share=0 is expected"
        )
