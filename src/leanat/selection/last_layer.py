"""Gradients of the loss at adversarial examples: of the last layer, example by example, or of all layers, batch by batch.

By Danskin's theorem adversarial examples are held constant in the gradient (Dolatabadi et al. 2022, equations 12 and 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from leanat.attacks.pgd import Clean
from leanat.core.compiler import eager
from leanat.core.loop import make_step
from leanat.core.nouns import (
    Attack,
    Data,
    Objective,
    Run,
    buffers_restored,
    eval_without_param_grad,
    held_constant,
    in_mode,
    state_restored,
)
from leanat.selection.basic import everyone, unweighted
from leanat.selection.outer_products import Gradients


class LastLayer(NamedTuple):
    """The outputs and inputs of the last layer for all examples of a set: logits [N, K], and features [N, D] or None."""

    z: Tensor
    phi: Tensor | None


def at_last_layer(
    run: Run, data: Data, *attacks: Attack, features: bool = True, view: int = 0, training_mode: bool = False
) -> list[LastLayer]:
    """Logits and features (of at least single precision) at the adversarial examples of each attack, one LastLayer per attack.

    This is one pass over the set in ``random_order``, on the views and with the noise of this epoch's training. The attack runs
    without the method's budget. The logits are those of evaluation mode, or of training mode as in the authors' code.

    The network is unchanged afterwards, including its BatchNorm statistics. An attack in training mode updates these; they are
    put back after each batch, so that logits of evaluation mode are normalised by those of the training. Memory: N (K + D)
    numbers per LastLayer. Raises ValueError where they are not finite.
    """
    net, all_of_it = run.net, unweighted(everyone(data))
    order, layers = random_order(run, data), []
    lost = torch.zeros((), dtype=torch.int64, device=run.device)
    data.prefetch(order, run.epoch, view)
    with run.autocast():
        for batch in order.split(run.recipe.batch):
            step = make_step(run, data, all_of_it, batch, view)
            for number, attack in enumerate(attacks):
                x = held_constant(attack, net, step)
                with buffers_restored(net), eval_without_param_grad(net, training_mode), torch.no_grad():
                    z, phi = _forward(net, x)
                    lost += (~torch.cat([z, phi], 1).isfinite().all(1)).sum()
                if number == len(layers):
                    layers.append(LastLayer(_table(z, len(data)), _table(phi, len(data)) if features else None))
                layers[number].z[step.index] = z.to(layers[number].z.dtype)
                if features:
                    layers[number].phi[step.index] = phi.to(layers[number].phi.dtype)
    if lost:
        raise ValueError(f"the network's logits or features are not finite for {int(lost)} of {len(data)} images")
    return layers


def random_order(run: Run, data: Data) -> Tensor:
    """All examples, int64 [N], in the order in which this epoch's selection divides them into batches of ``recipe.batch``.

    It differs from the order of the training. Leaving examples out keeps that order, so the chosen batches would be trained on
    unchanged, and in the epoch of the selection the weights within each would cancel even though the loop shuffles.
    """
    return run.draws(everyone(data)).order("batches")


def _forward(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the features that the head reads. The network is called as a whole, so that its passes are counted.

    If a network calls its head several times, its logits come from the last call (``find_head``), and so do the features.
    """
    seen = []

    def keep(head: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        seen.append(inputs[0] if inputs else named["input"])

    hook = net.head.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with eager():  # a graph that is compiled already knows of no hook
            return net(x), seen[-1]
    finally:
        hook.remove()


def _table(rows: Tensor, n: int) -> Tensor:
    return rows.new_empty(n, rows.shape[1], dtype=torch.promote_types(rows.dtype, torch.float32))


def logit_gradients(objective: Objective, z: Tensor, z_adv: Tensor, y: Tensor) -> tuple[Tensor | None, Tensor]:
    """dl_i/dz_i and dl_i/dz_adv_i, [B, K] each, for detached logits; None for z if the objective does not use it."""
    with torch.enable_grad():
        z, z_adv = z.detach().requires_grad_(), z_adv.detach().requires_grad_()
        return torch.autograd.grad(objective.of_logits(z, z_adv, y).sum(), (z, z_adv), allow_unused=True)


def of_every_example(attack: Attack) -> Attack:
    """The attack without ``only_correct``: equation 12 needs the adversarial example of every training example, including
    misclassified ones, which the attack does not move in training."""
    if getattr(attack, "only_correct", False):
        return replace(attack, only_correct=False)
    inner = getattr(attack, "attack", None)
    outer = inner if inner is None else of_every_example(inner)
    return attack if outer is inner else replace(attack, attack=outer)


def gradients(
    run: Run, data: Data, adversarial: bool = True, features: bool = True, training_mode: bool = False
) -> Gradients:
    """Gradient of each example's loss with respect to the last linear layer; row i is example i.

    The gradient is dl/dz (x) [phi(x), 1] + dl/dz_adv (x) [phi(x_adv), 1] with x_adv held fixed: equation 12 for the
    cross-entropy, equation 14 for TRADES. x_adv is that of the run's attack on every example, or x if not ``adversarial``.
    Without ``features`` it is dl/dz + dl/dz_adv, the gradient of the bias. At most 2 N (K + D) numbers are kept.
    """
    objective, y = run.method.objective, data.labels
    attack = of_every_example(run.method.attack) if adversarial else Clean()
    options = {"features": features, "training_mode": training_mode}
    probe = torch.zeros(1, data.n_classes, device=y.device)
    if not adversarial or logit_gradients(objective, probe, probe, y[:1])[0] is None:
        (layer,) = at_last_layer(run, data, attack, **options)
        parts = logit_gradients(objective, layer.z, layer.z, y)
        return Gradients(((sum(a for a in parts if a is not None), layer.phi),))
    layers = at_last_layer(run, data, Clean(), attack, **options)
    parts = logit_gradients(objective, *(layer.z for layer in layers), y)
    # an objective may read the clean logits alone
    return Gradients(tuple((a, layer.phi) for a, layer in zip(parts, layers, strict=True) if a is not None))


@dataclass(frozen=True)
class AllLayers:
    """Gradients of the loss with respect to all parameters of the network, computed when the batches are given."""

    run: Run
    data: Data
    adversarial: bool = True
    training_mode: bool = False

    def means(self, batches: Sequence[Tensor]) -> Tensor:
        """The gradient of each batch's mean loss, float32 [batches, parameters]. The network is not changed."""
        net, whole = self.run.net, unweighted(everyone(self.data))
        attack = of_every_example(self.run.method.attack) if self.adversarial else Clean()
        parameters = [p for p in net.parameters() if p.requires_grad]
        sizes = [p.numel() for p in parameters]
        rows = torch.empty(len(batches), sum(sizes), dtype=torch.float32, device=self.run.device)
        self.data.prefetch(torch.cat(list(batches)), self.run.epoch)
        for row, batch in zip(rows, batches, strict=True):
            step = make_step(self.run, self.data, whole, batch)
            with state_restored(net):
                with self.run.autocast():
                    step.x_adv = held_constant(attack, net, step)
                    with in_mode(net, self.training_mode):
                        loss = self.run.method.objective(net, step).float().mean()
                per_parameter = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
            for part, g in zip(row.split(sizes), per_parameter, strict=True):
                part.copy_(g.flatten())
        return rows
