"""ReColorAdv moves colours: Laidlaw and Feizi, "Functional Adversarial Attacks" (NeurIPS 2019), as in PAT's evaluation."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from leanat.attacks.cieluv import luv_to_rgb, rgb_to_luv
from leanat.attacks.pgd import refuse_budget
from leanat.attacks.smooth_fields import adam_on_field
from leanat.core.component import component
from leanat.core.nouns import Step
from leanat.core.uploads import constant

Nodes = Annotated[int, Ge(2)]


@component("recoloradv")
class ReColorAdv:
    """Recolours the image: one map of CIELUV for all its pixels, at most ``bound`` in each coordinate.

    The shifts of colours are given on a lattice over L, u, v, each scaled to [0, 1], and are trilinear between its nodes. Nodes
    are moved into the sRGB gamut as far as the bound allows. A saturated colour outside the lattice shifts like the nearest
    point of its border (the authors' code moves it onto the border, however far). Takes x [B, 3, H, W]. Returns x_adv like
    step.x, in [0, 1]. Raises ValueError unless there are 3 channels.
    """

    bound: PositiveFloat
    steps: PositiveInt
    lr: PositiveFloat = 0.001
    smoothness: PositiveFloat = 0.0036  # divided by bound
    lattice: tuple[Nodes, Nodes, Nodes] = (16, 32, 32)

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        refuse_budget(self, step)
        x = step.x
        if x.shape[1] != 3:
            raise ValueError(f"ReColorAdv needs 3 colour channels; these images have {x.shape[1]}")
        if not len(x):
            return x
        axes = [torch.linspace(0, 1, n, device=x.device, dtype=x.dtype) for n in self.lattice]
        nodes = torch.stack(torch.meshgrid(*axes, indexing="ij"))  # [3, n1, n2, n3]
        luv = rgb_to_luv(x)
        corners, shares = trilinear(luv, self.lattice)
        corners = corners.flatten(1)[:, None].expand(-1, 3, -1)

        def project(shift: Tensor) -> Tensor:
            inside = luv_to_rgb((nodes + shift).clamp_(0, 1))
            return (rgb_to_luv(inside) - nodes).clamp_(-self.bound, self.bound)

        def image(shift: Tensor) -> Tensor:
            at = shift.flatten(2).gather(2, corners).unflatten(2, (-1, 8))  # [B, 3, H W, 8]
            return luv_to_rgb(luv + (at * shares[:, None]).sum(dim=3).view_as(luv))

        return adam_on_field(self, net, step, image, project, nodes.shape)


def trilinear(luv: Tensor, lattice: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """The lattice nodes that surround each pixel's colour, and their weights.

    luv [B, 3, H, W], scaled to [0, 1] and clamped to it -> numbers int64 [B, H W, 8] of the nodes in the flattened
    lattice, and shares [B, H W, 8], which sum to 1.
    """
    size = constant(tuple(lattice), torch.int64, luv.device)
    at = luv.flatten(2).transpose(1, 2).clamp(0, 1) * (size - 1)  # [B, H W, 3]
    low = at.floor()
    rest = (at - low)[:, :, None]
    corners = tuple((i >> 2, i >> 1 & 1, i & 1) for i in range(8))
    bit = constant(corners, torch.int64, luv.device)  # [8, 3]
    corner = torch.minimum(low.long()[:, :, None] + bit, size - 1)
    share = torch.where(bit == 1, rest, 1 - rest).prod(dim=-1)
    return (corner[..., 0] * lattice[1] + corner[..., 1]) * lattice[2] + corner[..., 2], share
