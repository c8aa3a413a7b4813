"""StAdv moves pixels: Xiao et al., "Spatially Transformed Adversarial Examples" (ICLR 2018), as in PAT's evaluation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from leanat.attacks.pgd import refuse_budget
from leanat.attacks.smooth_fields import adam_on_field
from leanat.core.component import component
from leanat.core.nouns import Step


@component("stadv")
class StAdv:
    """Resamples the image at points moved by a flow field, at most ``bound`` in each coordinate.

    Coordinates are those of an affine grid: the image spans -1 to 1. Points stay inside the image; sampling is bilinear
    with zeros beyond the border. Returns x_adv like step.x, in [0, 1].
    """

    bound: PositiveFloat
    steps: PositiveInt
    lr: PositiveFloat = 0.01
    smoothness: PositiveFloat = 0.0025  # divided by bound

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        refuse_budget(self, step)
        x = step.x
        if not len(x):
            return x
        across, down = (
            torch.linspace(-1, 1, n, device=x.device, dtype=x.dtype) * ((n - 1) / n) for n in x.shape[:1:-1]
        )
        grid = torch.stack(torch.meshgrid(across, down, indexing="xy"))  # [2, H, W], the centres of the pixels

        def project(flow: Tensor) -> Tensor:
            return ((grid + flow).clamp(-1, 1) - grid).clamp(-self.bound, self.bound)

        def image(flow: Tensor) -> Tensor:
            return F.grid_sample(x, (grid + flow).movedim(1, -1), align_corners=False)

        return adam_on_field(self, net, step, image, project, grid.shape)
