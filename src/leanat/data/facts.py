"""The facts about each data set that are known before a file is read, and the error for missing or damaged data."""

from __future__ import annotations

from dataclasses import dataclass


class DataError(ValueError):
    """Data are missing, damaged or requested wrongly; the message is one line: what, where expected, how to get it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Facts:
    """A data set's name, the size of its square images, and the channel statistics by which networks normalise."""

    name: str
    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]

    @property
    def n_classes(self) -> int:
        return len(self.class_names)


# (image size, mean, standard deviation), from the code of the papers or, if it has none, from the training set.
# CIFAR-10: ACS, SAT and CORDS give the mean over images of each image's deviation, (.2023, .1994, .2010); the
# deviation over all pixels is (.2470, .2435, .2616). CIFAR-100: CORDS. SVHN: ACS. Folders of photographs: ImageNet's.
STATISTICS: dict[str, tuple[int, tuple[float, ...], tuple[float, ...]]] = {
    "digits": (8, (0.305,), (0.376,)),
    "shapes": (16, (0.5, 0.5, 0.5), (0.17, 0.17, 0.17)),
    "cifar10": (32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": (32, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "svhn": (32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "stl10": (96, (0.4467, 0.4398, 0.4066), (0.2603, 0.2566, 0.2713)),
    "tiny-imagenet": (64, (0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)),
    "photographs": (224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def facts(name: str, class_names: tuple[str, ...], statistics: str | None = None, image_size: int = 0) -> dict:
    """The keyword arguments of Facts; ``statistics``: the row of STATISTICS, if it is not ``name``."""
    size, mean, std = STATISTICS[statistics or name]
    return {
        "name": name,
        "image_size": image_size or size,
        "channels": len(mean),
        "mean": mean,
        "std": std,
        "class_names": class_names,
    }
