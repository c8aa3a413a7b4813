"""How far attacks move a network's last features, and a two-dimensional map of these: Q-TART's Figure 1."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from leanat.core.component import component
from leanat.core.nouns import Attack, Data, eval_without_param_grad, held_constant
from leanat.evaluation.evaluate import fitting, sample, step_of
from leanat.evaluation.measured import Measured

BATCH = 500
PERPLEXITY = 30  # scikit-learn's default
KINDS = ("mean", "least", "greatest", "range", "relative", "middle", "middle_relative")  # of distances


@component()
class NamedAttack:
    """An attack and the name of its distances."""

    name: str
    attack: Attack


@component("feature_distances")
class Distances:
    """A measure: ||phi(x) - phi(x_adv)||_2 under each of several attacks, with phi the input of the classifier's head.

    The examples are ``sample(n, examples)``, whether classified correctly or not. Numbers for each attack: <name>_mean,
    _least, _greatest, _range, _middle, from the 5th to the 95th percentile, and _relative and _middle_relative, range and
    middle over the mean norm of phi. Arrays: distances [n] by attack; ``norm`` [n], ||phi(x)||_2; ``classes`` [n] and
    ``names``; ``points`` [m, 2], the first ``mapped`` by t-SNE.
    """

    attacks: tuple[NamedAttack, ...]
    examples: PositiveInt | None
    mapped: PositiveInt
    part: ClassVar[str] = "test"
    reads_layers: ClassVar[bool] = True

    @property
    def number_names(self) -> tuple[str, ...]:
        return tuple(f"{attack.name}_{kind}" for attack in self.attacks for kind in KINDS)

    def __call__(self, net: nn.Module, data: Data, seed: int) -> Measured:
        arrays = fitting(partial(distances, net, data, self.attacks, seed, self.examples), BATCH)
        norm, numbers = float(arrays["norm"].mean()), {}
        for name in (attack.name for attack in self.attacks):
            low, high, mean = (float(f(arrays[name])) for f in (np.min, np.max, np.mean))
            middle = float(np.diff(np.quantile(arrays[name], [0.05, 0.95]))[0])
            values = mean, low, high, high - low, (high - low) / norm, middle, middle / norm
            numbers |= {f"{name}_{kind}": value for kind, value in zip(KINDS, values, strict=True)}
        points = tsne(arrays.pop("features")[: self.mapped], seed)
        return Measured(numbers, arrays | {"points": points, "names": np.array(data.class_names, dtype=np.str_)})


def distances(
    net: nn.Module, data: Data, attacks: tuple[NamedAttack, ...], seed: int, limit: int | None, batch: int
) -> dict[str, np.ndarray]:
    """Distances, ``norm`` and ``classes`` as ``Distances`` has them, and ``features`` [n, D], phi(x)."""
    index = sample(len(data), limit).to(data.labels.device)
    parts: dict[str, list[Tensor]] = {}
    with eval_without_param_grad(net):
        for where in index.split(batch):
            step = step_of(data, where, seed)
            phi = _features(net, step.x)
            values = {"norm": phi.norm(dim=1), "features": phi, "classes": step.y}
            x_adv = {a.name: held_constant(a.attack, net, step) for a in attacks}
            values |= {name: (_features(net, x) - phi).norm(dim=1) for name, x in x_adv.items()}
            for name, value in values.items():
                parts.setdefault(name, []).append(value.cpu())
    return {name: torch.cat(part).numpy() for name, part in parts.items()}


@torch.no_grad()
def _features(net: nn.Module, x: Tensor) -> Tensor:
    return net.features(x).float().flatten(1)


def tsne(features: np.ndarray, seed: int) -> np.ndarray:
    """A map [n, 2] of features [n, D] by t-SNE (van der Maaten and Hinton 2008), scikit-learn's, started from PCA."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(features.astype(np.float32))
