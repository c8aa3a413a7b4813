"""Converts tensors, a Dataset or a folder of images to the form that the loop, selection and evaluation need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from leanat.core.nouns import Data, first_image
from leanat.core.rng import Draws
from leanat.data import StreamedData, load_folder
from leanat.data.augment import NONE, Augmentation, Piece, unit
from leanat.data.streamed import uploaded
from leanat.data.tensors import TensorData
from leanat.library import checks
from leanat.library.checks import Channels
from leanat.library.network import Wrapped, device_of
from leanat.library.own_attacks import check_radii
from leanat.models import io

# (x, y), a Dataset of (image, label), a folder with a folder of images for each class, or data of the package.
AnyData = tuple[Tensor, Tensor] | Dataset[Any] | str | Path | Data


@dataclass(frozen=True, eq=False)
class DatasetData:
    """A map-style Dataset of (image, label); images float [C, H, W] in [0, 1], uint8, or Pillow's.

    Its examples are read one by one, in this process. Its own random transforms are applied at every reading and draw from
    torch's generator, which the loop seeds for each epoch.
    """

    dataset: Dataset[Any]
    labels: Tensor  # int64 [N], on the device
    n_classes: int
    augment: Augmentation = NONE
    seed: int = 0
    name: str = "Dataset"
    reads_on_cpu: ClassVar[bool] = True  # the loop passes indices on the CPU
    _own: Tensor = field(init=False, repr=False)  # the labels, on the CPU

    def __post_init__(self) -> None:
        object.__setattr__(self, "_own", self.labels.cpu())

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor, epoch: int, view: int = 0) -> tuple[Tensor, Tensor]:
        """x float32 [B, C, H, W] in [0, 1], and y int64 [B]. Does not wait for the device if ``index`` is on the CPU.

        Raises ValueError or TypeError, one line, for other images and for labels that have changed.
        """
        device, index = self.labels.device, index.cpu()
        images = []
        for i, label in zip(index.tolist(), self._own[index].tolist(), strict=True):
            image, own = _pair(self.dataset, i)
            if own != label:
                raise ValueError(
                    f"example {i} of the Dataset has the label {own}; it had {label} when it was first read"
                )
            images.append(_image(image, i))
            if images[-1].shape != images[0].shape:
                shapes = f"{list(images[-1].shape)}, others {list(images[0].shape)}"
                raise ValueError(f"example {i} of the Dataset has an image of shape {shapes}; all of one are expected")
        x = torch.stack(images)
        checks.in_range(x, "the images of the Dataset")
        index = uploaded(index, device)
        return self.augment(uploaded(x, device), Draws(self.seed, epoch, index, view)), self.labels[index]

    def prefetch(self, index: Tensor, epoch: int, view: int = 0) -> None:
        """Does nothing: examples are read when a batch needs them."""

    def plain(self) -> DatasetData:
        """The same Dataset without the augmentation given to ``train``, but with its own transforms."""
        return replace(self, augment=NONE)


def prepared(
    net: nn.Module,
    data: AnyData,
    mean: Channels | None,
    std: Channels | None,
    attacking: Iterable[Any],
    layer: str | None = None,
    augment: Sequence[Piece] = (),
    seed: int = 0,
) -> tuple[Wrapped, Data]:
    """Network and data in the package's form. They are checked against each other on a first image, and so are the radii of the
    attacks, or of the methods with attacks, in ``attacking``. Raises the errors of ``as_data``.
    """
    device = device_of(net) if isinstance(net, nn.Module) else torch.device("cpu")
    channels = io.channels_of(net) if isinstance(net, nn.Module) else None
    dataset = as_data(data, device, augment, seed, channels or 3)
    if not len(dataset):
        raise ValueError("data holds no image")
    x = first_image(dataset)
    wrapped = Wrapped(net, mean, std, x.shape[1])
    wrapped.labels_below = int(dataset.labels.max()) + 1
    wrapped.n_classes = n_classes = wrapped.classes_of(x, "the data")
    wrapped.find_head(layer, x)
    for part in attacking:
        check_radii(part, x[0])
    if isinstance(dataset, TensorData):
        dataset = replace(dataset, class_names=tuple(map(str, range(n_classes))))
    elif isinstance(dataset, DatasetData):
        dataset = replace(dataset, n_classes=n_classes)
    return wrapped, dataset


def held_out_for(wrapped: Wrapped, validation: AnyData | None) -> Data | None:
    """The validation examples, checked on a first image and all labels. Raises the errors of ``as_data``."""
    if validation is None:
        return None
    dataset = as_data(validation, wrapped.device, channels=io.channels_of(wrapped) or 3)
    if not len(dataset):
        raise ValueError("validation holds no image")
    x = first_image(dataset)
    n_classes, highest = wrapped.classes_of(x, "validation"), int(dataset.labels.max())
    if highest >= n_classes:
        raise ValueError(f"validation has the class number {highest}; the network has {n_classes} logits")
    return dataset


def as_data(
    data: AnyData, device: torch.device, augment: Sequence[Piece] = (), seed: int = 0, channels: int = 3
) -> Data:
    """``data`` on ``device``, with as many classes as its labels need; ``channels``: number of channels for images of a folder.

    Raises ValueError, TypeError or DataError, one line.
    """
    pieces = Augmentation(tuple(augment))
    if type(data) is TensorDataset and len(data.tensors) == 2:  # a subclass may read its examples in another way
        data = (data.tensors[0], data.tensors[1])
    if isinstance(data, tuple):
        if len(data) != 2:
            raise ValueError(f"data is a tuple of {len(data)}; (x, y) is expected")
        return _of_tensors(*data, device=device, augment=pieces, seed=seed)
    if isinstance(data, str | Path):
        return replace(load_folder(str(data), device, channels), augment=pieces, seed=seed)
    if isinstance(data, list) and data and all(isinstance(part, Tensor) for part in data):
        raise TypeError(f"data is a list of {len(data)} tensors; a tuple (x, y) is expected")
    if isinstance(data, DataLoader):
        raise TypeError("data is a DataLoader; its dataset is expected: loader.dataset")
    if hasattr(data, "batch") and hasattr(data, "plain"):
        return cast(Data, data)
    if isinstance(data, Mapping) or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        kind = type(data).__name__
        raise TypeError(f"data is a {kind}; (x, y), a Dataset with a length, or a folder of class folders is expected")
    dataset: Dataset[Any] = data
    labels = checks.labels(_labels(dataset), len(dataset), "the labels of the Dataset").to(device)  # type: ignore[arg-type]
    return DatasetData(dataset, labels, int(labels.max()) + 1 if len(labels) else 0, pieces, seed)


def moved(data: Data, device: torch.device) -> Data:
    """The same data on the device to which the network has moved; data of other kinds are returned unchanged."""
    if isinstance(data, TensorData):
        return data.to(device)
    return replace(data, labels=data.labels.to(device)) if isinstance(data, DatasetData | StreamedData) else data


def _of_tensors(x: Tensor, y: Tensor, device: torch.device, augment: Augmentation, seed: int) -> TensorData:
    if not (isinstance(x, Tensor) and x.dtype == torch.uint8 and x.dim() == 4):  # uint8 images are 0 to 255
        x = checks.images(x).detach().float()
    y = checks.labels(y, len(x))
    if not len(x):
        raise ValueError(f"x has shape {list(x.shape)}; at least one image is expected")
    whole = TensorData(
        name="tensors",
        image_size=x.shape[-1],
        channels=x.shape[1],
        mean=(0.0,) * x.shape[1],
        std=(1.0,) * x.shape[1],
        class_names=tuple(map(str, range(int(y.max()) + 1))),
        images=x,
        labels=y,
        numbers=torch.arange(len(x)),
        augment=augment,
        seed=seed,
    )
    return whole.to(device)


def _labels(dataset: Dataset[Any]) -> Tensor:
    """The labels in ``targets`` or ``labels``, as in torchvision's data sets, if an example of each class agrees with them; else
    the labels of the examples, which are all read once.
    """
    size = len(dataset)  # type: ignore[arg-type]
    for name in ("targets", "labels"):
        labels = _whole(getattr(dataset, name, None), size)
        if labels is None or getattr(dataset, "target_transform", None) is not None:
            continue
        firsts = {label: i for i, label in reversed(list(enumerate(labels.tolist())))}
        with torch.random.fork_rng(devices=[]):  # random transforms do not change the caller's generator
            if all(_pair(dataset, i)[1] == label for label, i in firsts.items()):
                return labels
    return torch.tensor([_pair(dataset, i)[1] for i in range(size)], dtype=torch.int64)


def _whole(values: Any, size: int) -> Tensor | None:
    """The values as int64 [size]; None unless they are ``size`` whole numbers."""
    if values is None:
        return None
    try:
        numbers = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        return None
    fits = numbers.shape == (size,) and not numbers.is_floating_point() and not numbers.is_complex()
    return numbers.long() if fits else None


def _pair(dataset: Dataset[Any], number: int) -> tuple[Any, int]:
    """Image and label of an example. Raises TypeError or ValueError, one line, for anything else."""
    try:
        example = dataset[number]
    except IndexError as error:
        size = len(dataset)  # type: ignore[arg-type]
        raise ValueError(f"example {number} of the Dataset is not there, whose length is {size}: {error}") from error
    if not isinstance(example, tuple | list) or len(example) < 2:
        got = (
            f"{type(example).__name__} of {len(example)}"
            if isinstance(example, tuple | list)
            else type(example).__name__
        )
        raise TypeError(f"example {number} of the Dataset is a {got}; a pair (image, label) is expected")
    image, label = example[:2]
    try:
        whole = int(label)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        whole = None
    if whole is None or whole != label:
        text = f"of shape {list(label.shape)}" if isinstance(label, Tensor) and label.dim() else repr(label)[:60]
        raise ValueError(f"example {number} of the Dataset has the label {text}; a whole class number is expected")
    return image, whole


def _image(image: Any, number: int) -> Tensor:
    """float32 [C, H, W]."""
    such = f"example {number} of the Dataset has an image of"
    if not isinstance(image, Tensor):
        if not hasattr(image, "getbands"):
            raise TypeError(f"{such} type {type(image).__name__}; a tensor [C, H, W] or Pillow's is expected")
        if image.mode in ("P", "PA"):
            raise ValueError(f"{such} palette numbers; image.convert('RGB') is expected")
        from torchvision.transforms.functional import pil_to_tensor

        image = pil_to_tensor(image)
    if image.dim() != 3:
        raise ValueError(f"{such} shape {list(image.shape)}; [C, H, W] is expected")
    if not image.is_floating_point() and image.dtype not in (torch.uint8, torch.bool):
        kind = str(image.dtype).removeprefix("torch.")
        raise ValueError(f"{such} {kind}; uint8, or floating pixels in [0, 1], are expected")
    return unit(image.detach()).float()
