"""Weighted subsets for your own training: chosen once, or every few epochs by a sampler.

The indices are always those of the examples that are kept, not of those that are removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler

from leanat.core.errors import named
from leanat.core.loop import shuffled
from leanat.core.nouns import Attack, Data, Method, Objective, Recipe, Run, Selector, Split, Subset, in_mode
from leanat.library import checks
from leanat.library.attacks import attack_of
from leanat.library.checks import Channels
from leanat.library.data import AnyData, held_out_for, moved, prepared
from leanat.library.network import Wrapped, device_of, own_modes, own_precision
from leanat.papers.advprune.method import ByLoss
from leanat.selection.basic import Every, Everything, Random
from leanat.selection.craig import Craig
from leanat.selection.from_file import CHOOSES_ALONE, checked, only_choosing
from leanat.selection.glister import Glister
from leanat.selection.grad_match import GradMatch
from leanat.selection.ranked import EL2N, Margin, Moderate, RandomPerClass
from leanat.training.objectives import CrossEntropy
from leanat.training.schedules import Constant

BY_LAST_LAYER: dict[str, Any] = {
    "grad_match": GradMatch, "craig": Craig, "glister": Glister, "loss": ByLoss, "el2n": EL2N, "margin": Margin,
    "moderate": Moderate,
}  # fmt: skip
BY = {"example": "example", "class": "class", "batch": "batch"}


class Selected(NamedTuple):
    """The examples that are kept: ``index`` int64 [n], and their ``weight`` float32 [n], both on the device of the network.

    Weights are the method's own, for a weighted mean: loss = (weight * losses).sum() / weight.sum().
    """

    index: Tensor  # type: ignore[assignment]  # hides tuple.index
    weight: Tensor


def make_selector(method: str = "grad_match", fraction: float = 0.1, by: str = "class", **settings: Any) -> Selector:
    """A selector of ``fraction`` of the examples (rounded up), for ``make_method``, ``select`` and ``Reselect``.

    grad_match   weighted examples whose gradients approximate the sum over all examples (Killamsetty et al. 2021)
    craig        facility location of the gradients; a weight is the size of a cluster (Mirzasoleiman et al. 2020)
    glister      the examples whose training step lowers the loss on a validation set most (Killamsetty et al. 2021)
    loss         the examples with the highest loss (by="class" only)
    el2n         the examples with the longest error vectors (Paul et al. 2021)
    margin       the examples with the smallest margin between the two likeliest classes
    moderate     the examples with a medium distance to the centre of their class (Xia et al. 2023)
    random       random examples with weight 1

    ``by``: "class" gives each class its share (grad_match gives less or nothing to classes whose gradients are 0), "example"
    chooses among all examples, and "batch" chooses whole random batches, as in CORDS.
    ``settings``: further fields of the selector, see ``leanat.selection``. Raises ValueError for other names or values.
    """
    granularity = named(BY, by, "by")
    if method == "loss" and by != "class":
        raise ValueError(f"by {by!r}: pruning by the loss is by class alone")
    selector = named(BY_LAST_LAYER | {"random": Random}, method, "method")
    if method == "random" and granularity == "class":
        return RandomPerClass(fraction=fraction, **settings)
    if method == "random":
        return Random(**{"fraction": fraction, "whole_batches": granularity == "batch", **settings})
    if method == "loss":
        return selector(**{"fraction": fraction, "keep": "highest", **settings})
    usual = {"eta": 0.1} if method == "glister" else {}
    return selector(fraction=fraction, granularity=granularity, **usual | settings)


def select(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    fraction: float = 0.1,
    method: str | Selector = "grad_match",
    by: str = "class",
    *,
    attack: str | Attack | None = None,
    eps: float = 8 / 255,
    norm: str = "linf",
    objective: Objective | None = None,
    layer: str | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
    validation: AnyData | None = None,
    batch: int = 128,
    seed: int = 0,
) -> Selected:
    """The indices of the examples that are KEPT, about ``fraction`` of x [N, C, H, W] in [0, 1] (or uint8), y [N], and weights.

    method      a name, see ``make_selector``, or a selector, which has its own fraction
    attack      the images at which gradients are computed. None: clean images; a name (pgd, fgsm_rs ...), within the ball of
                radius ``eps``, or an attack of ``leanat.attacks``: adversarial images (Dolatabadi et al. 2022)
    objective   the loss of the gradients; None: cross-entropy
    layer       the name of the last linear layer, if its outputs are not those of the network
    batch       the batch size of passes, and the size of batches for by="batch"

    The network is in evaluation mode and is not changed. Memory: N (K + D) numbers for K classes and D features, twice that
    for objectives that use clean and adversarial logits. In addition CRAIG stores n x n similarities and GRAD-MATCH n x n
    products, for the n examples of one class or for all examples (up to 4 and 2 GiB; above that they are computed when needed).
    Raises ValueError or TypeError, in one line.
    """
    sampler = Reselect(
        net, (x, y), fraction, method, by, attack=attack, eps=eps, norm=norm, objective=objective, layer=layer, mean=mean,
        std=std, validation=validation, batch=batch, seed=seed,
    )  # fmt: skip
    selector = sampler._plan.inner
    subset = sampler._choose(selector)
    if not len(subset.index):
        why = "the gradients of all are 0, and there is nothing to match"
        raise ValueError(f"no example is kept: {why if is_own(selector) else 'the selector returns none'}")
    return Selected(subset.index, subset.weight)


def check_selector(selector: Selector, wrapped: Wrapped, held_out: Data | None) -> None:
    """Raises ValueError, one line, if a selector, or one inside it, needs a last linear layer or validation examples that are
    missing.
    """
    if isinstance(selector, tuple(BY_LAST_LAYER.values())):
        wrapped.head  # noqa: B018  # raises
    if isinstance(selector, Glister) and held_out is None:
        raise ValueError("glister chooses by validation examples; hand them over: validation=...")
    for inner in getattr(selector, "__dict__", {}).values():
        if hasattr(type(inner), "spec_name"):
            check_selector(inner, wrapped, held_out)


@dataclass(frozen=True)
class CheckedSelector:
    """A selector whose choice is checked; a selector of the user's must also change neither the network nor the data."""

    selector: Selector

    def __call__(self, run: Run, split: Split) -> Subset:
        changed: list[str] = []
        with nullcontext(changed) if is_own(self.selector) else only_choosing(run, split) as changed:
            choice, labels = self.selector(run, split), split.train.labels
        if changed:
            raise ValueError(f"the selector changes {changed[0]}; {CHOOSES_ALONE}")
        return checked(choice, len(labels), labels.device, "the selector returns", least=0)


def is_own(part: Any) -> bool:
    """Whether a selector, attack or objective, and everything inside it, is leanat's and not the user's."""
    inside = (value for value in getattr(part, "__dict__", {}).values() if callable(value))
    return type(part).__module__.partition(".")[0] == "leanat" and all(map(is_own, inside))


@contextmanager
def _trainable(net: nn.Module) -> Iterator[None]:
    frozen = [] if any(p.requires_grad for p in net.parameters()) else list(net.parameters())[:1]
    for p in frozen:
        p.requires_grad_(True)
    try:
        yield
    finally:
        for p in frozen:
            p.requires_grad_(False)


class Reselect(Sampler[int]):
    """A sampler for your own loop: each epoch has only the examples that are kept; they are chosen again every few epochs.

    Before epoch ``warmup`` an epoch has all examples. From then on it has those of ``select``, which are chosen again every
    ``every`` epochs with the current network. The order is random in each epoch. ``weight`` float32 [N] has a weight for each
    of the N examples of ``data``, 0 for those that are not kept. Use the DataLoader on ``indexed(dataset)``, so that a batch
    has the indices of its examples:

        sampler = Reselect(net, (x, y), fraction=0.1, every=20, attack="pgd")
        for x, y, i in DataLoader(indexed(dataset), batch_size=128, sampler=sampler):
            w = sampler.weight[i]
            loss = (w * F.cross_entropy(net(x), y, reduction="none")).sum() / w.sum()

    ``data`` are the images for the choice: pixels in [0, 1] without random transforms, of the same examples in the same order
    as the Dataset. Each iteration of the sampler counts as an epoch; ``set_epoch`` sets another number. ``len`` is the number
    of examples in the epoch that was started last. The other arguments, memory and errors are those of ``select``.
    """

    @own_modes()
    @own_precision()
    def __init__(
        self,
        net: nn.Module,
        data: AnyData,
        fraction: float = 0.1,
        method: str | Selector = "grad_match",
        by: str = "class",
        *,
        every: int = 20,
        warmup: int = 0,
        attack: str | Attack | None = None,
        eps: float = 8 / 255,
        norm: str = "linf",
        objective: Objective | None = None,
        layer: str | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        validation: AnyData | None = None,
        batch: int = 128,
        seed: int = 0,
    ):
        selector = make_selector(method, fraction, by) if isinstance(method, str) else method
        checks.made(selector, "method", "a name or what make_selector returns")
        if hasattr(type(selector), "spec_name") and hasattr(selector, "inner"):
            kind = type(selector).__name__
            raise ValueError(
                f"method is {kind}, which says when to choose, as every= and warmup= do; its inner selector is expected"
            )
        checks.whole(batch, "batch", 1)
        checks.whole(seed, "seed")
        if objective is not None:
            checks.made(objective, "objective", "an objective of leanat.training.objectives")
        way = Method(objective=objective or CrossEntropy(), attack=attack_of(attack, eps, norm), selector=Everything())
        wrapped, examples = prepared(net, data, mean, std, [way, selector], layer)
        if isinstance(method, str) and by == "batch" and len(examples) <= batch and fraction < 1:
            raise ValueError(
                f"by 'batch': the {len(examples)} examples are one batch; a batch= below {len(examples)} is expected"
            )
        if not any(True for _ in wrapped.parameters()):
            raise ValueError("the network has no parameters, whose gradients a selection is by")
        held_out = held_out_for(wrapped, validation)
        check_selector(selector, wrapped, held_out)
        plan = Recipe(epochs=1, batch=batch, lr=Constant(lr=0.0), momentum=0.0, nesterov=False, weight_decay=0.0)
        with _trainable(wrapped):  # a Run has an optimiser, which refuses a frozen network
            self._run = Run(wrapped, way, plan, seed)
        self._split = Split(examples, held_out)
        self._plan = Every(period=every, warmup=warmup, inner=selector)
        self._weight = torch.zeros(len(self._split.train), device="cpu")
        self._next: int | None = 0  # the next epoch; None: the one after the epoch that was started last
        self._chosen_in: int | None = None  # the epoch for which the subset was last requested

    @property
    def epoch(self) -> int:
        """The number of the epoch that was started last, from 0."""
        return self._run.epoch

    @property
    def index(self) -> Tensor:
        """The examples that are kept, int64 [n], on the CPU."""
        return self._subset().index.cpu()

    @property
    def weight(self) -> Tensor:
        """The weights float32 [N], on the CPU; 0 for examples that are not kept."""
        self._subset()
        return self._weight

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next epoch, from 0."""
        checks.whole(epoch, "the epoch", 0)
        self._next = int(epoch)

    def __len__(self) -> int:
        return len(self._subset().index)

    @own_modes()
    def __iter__(self) -> Iterator[int]:
        epoch = self.epoch + 1 if self._next is None else self._next
        self._next = None
        return iter(shuffled(self._run, self._of_epoch(epoch)).index.tolist())

    def state_dict(self) -> dict[str, Any]:
        """The epoch that was started last and the examples it keeps, for a checkpoint."""
        subset = self._subset()
        kept = {"index": subset.index.cpu(), "weight": subset.weight.cpu(), "shuffle": subset.shuffle}
        return {"epoch": self.epoch, **kept}

    @own_modes()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues after the epoch of ``state_dict``. Raises ValueError or TypeError if the state does not fit these data."""
        if not isinstance(state, Mapping):
            raise TypeError(f"the state is {checks.shown(state)}; what state_dict returns is expected")
        if not {"epoch", "index", "weight"} <= state.keys():
            raise ValueError(f"the state has {', '.join(state) or 'nothing'}; what state_dict returns is expected")
        checks.whole(state["epoch"], "the state's epoch", 0)
        kept, device = (state["index"], state["weight"]), self._split.train.labels.device
        subset = checked(kept, len(self._weight), device, "the state has", least=0)
        shuffle = bool(state.get("shuffle", True))  # missing in older states
        self._keep(int(state["epoch"]), Subset(subset.index.clone(), subset.weight.clone(), shuffle))
        self._next = None

    @own_modes()
    def _choose(self, selector: Selector) -> Subset:
        """The selector's choice with the current network, on the network's current device."""
        device = device_of(self._run.net)
        if device != self._split.train.labels.device:
            self._run.net.to(device)
            held_out = self._split.validation
            self._split = Split(moved(self._split.train, device), None if held_out is None else moved(held_out, device))
        assert isinstance(self._run.net, Wrapped)
        with own_precision(), in_mode(self._run.net, training=False):
            self._run.net.follow_head()
            return CheckedSelector(selector)(self._run, self._split)

    def _subset(self) -> Subset:
        """The subset of the epoch that was started last; before the first epoch, the subset of the first epoch."""
        subset = self._run.subset
        return self._of_epoch(self._next or 0) if subset is None else subset

    @own_modes()
    def _of_epoch(self, epoch: int) -> Subset:
        run, plan = self._run, self._plan
        run.epoch = epoch
        if self._chosen_in != epoch or run.subset is None:
            late = run.subset is None and epoch >= plan.warmup  # the sampler's first epoch is between two choices
            self._keep(epoch, self._choose(plan.inner if late else plan))
        assert run.subset is not None
        return run.subset

    def _keep(self, epoch: int, subset: Subset) -> None:
        run = self._run
        run.epoch, run.subset, self._chosen_in = epoch, subset, epoch
        self._weight = torch.zeros(len(self._weight), device="cpu")
        self._weight[subset.index.cpu()] = subset.weight.float().cpu()


class _Indexed(Dataset[tuple[Any, ...]]):
    def __init__(self, dataset: Dataset[Any]):
        self.dataset = dataset

    def __len__(self) -> int:
        if not isinstance(self.dataset, Sized):
            raise TypeError(f"the Dataset, of type {type(self.dataset).__name__}, has no length")
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[Any, ...]:
        example = self.dataset[i]
        if not isinstance(example, tuple | list):
            kind = type(example).__name__
            raise TypeError(f"example {i} of the Dataset is a {kind}; a tuple, as (image, label), is expected")
        return (*example, i)


def indexed(dataset: Dataset[Any]) -> Dataset[tuple[Any, ...]]:
    """The Dataset with each example's index appended: (x, y, i).

    Raises TypeError, in one line, if the Dataset cannot be read by index, or if an example is neither a tuple nor a list.
    """
    if not hasattr(dataset, "__getitem__"):
        raise TypeError(f"the dataset is {checks.shown(dataset)}; a Dataset that is read by number is expected")
    return _Indexed(dataset)
