"""The loss of every example of a set, in one pass over it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leanat.core.nouns import Data, Run, eval_without_param_grad


def per_example_loss(run: Run, data: Data, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Cross-entropy of ``scale`` times the logits, and correctness (0 or 1), of every example without augmentation.

    Both are float32 [N], computed in evaluation mode.
    """
    return per_example_loss_of(run.net, data, run.recipe.batch, scale)


def per_example_loss_of(net: nn.Module, data: Data, batch: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """The same as ``per_example_loss``, for a network without a run."""
    data = data.plain()
    everyone = torch.arange(len(data), device=data.labels.device)
    losses, hits = [], []
    data.prefetch(everyone, 0)
    with eval_without_param_grad(net), torch.no_grad():
        for index in everyone.split(batch):
            x, y = data.batch(index, 0)
            z = net(x).float()
            losses.append(F.cross_entropy(scale * z, y, reduction="none"))
            hits.append((z.argmax(1) == y).float())
    return torch.cat(losses), torch.cat(hits)
