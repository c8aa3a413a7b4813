"""The place where each data set is expected, what is there, and the download on request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from leanat.data import folders
from leanat.data.archives import check, files_of
from leanat.data.facts import DataError
from leanat.data.folders import imagenet200
from leanat.data.redundant import NAMES as REDUNDANT
from leanat.data.shapes import is_shapes

DOWNLOADS = {  # torchvision's class for each data set
    "cifar10": "CIFAR10", "cifar100": "CIFAR100", "svhn": "SVHN", "stl10": "STL10", "flowers102": "Flowers102",
    "caltech256": "Caltech256",
}  # fmt: skip
EMBEDDED = ("digits", *REDUNDANT, "shapes10", "shapes12", "shapes20")
NAMES = (*EMBEDDED, *DOWNLOADS, "tiny-imagenet", "mini-imagenet", "imagenet", "imagenet200", "imagenet12")

# Folders that must exist, in addition to the files with published checksums.
_FOLDERS = {
    "flowers102": ("flowers-102/jpg",),
    "caltech256": ("caltech256/256_ObjectCategories",),
    "tiny-imagenet": ("tiny-imagenet-200/train", "tiny-imagenet-200/val"),
    "mini-imagenet": ("mini-imagenet",),
    "imagenet": ("ILSVRC2012/train", "ILSVRC2012/val"),
    "imagenet200": ("ILSVRC2012/train", "ILSVRC2012/val"),
    "imagenet12": ("ILSVRC2012/train", "ILSVRC2012/val"),
}


# The source and layout of each data set that is not downloaded here.
_IMAGENET = (
    "ILSVRC2012 of https://image-net.org (registration): ILSVRC2012/train and ILSVRC2012/val, a folder of images for each "
    "of the 1,000 WordNet numbers"
)
_BY_HAND = {
    "tiny-imagenet": "http://cs231n.stanford.edu/tiny-imagenet-200.zip, unpacked there",
    "mini-imagenet": "mini-imagenet/<class>/: the 100 classes of Ravi and Larochelle (ICLR 2017), 600 images of ImageNet each",
    "imagenet": _IMAGENET,
    "imagenet200": f"{_IMAGENET}, of which the 200 of ImageNet-A are read",
    "imagenet12": f"{_IMAGENET}, grouped into 12",
}


def how(name: str, data_dir: Path | str | None) -> str:
    """How to get a data set, in one line."""
    folder = data_dir or "DIR"
    if name in DOWNLOADS:
        return f"to get it: leanat data {folder} --download {name}"
    return f"to get it, into {folder}: {_BY_HAND.get(name, 'it comes with the package')}"


class Place(NamedTuple):
    """One data set: the path it is expected at (None: embedded), whether all of it is there, and what is missing."""

    name: str
    path: Path | None
    complete: bool
    missing: str


def is_data_set(name: str) -> bool:
    return name in NAMES or name == "cifar10-tenth" or is_shapes(name)


def survey(data_dir: Path | str | None) -> list[Place]:
    """The place of each data set. Only names of files are checked; ``examine`` reads the files."""
    places = [Place(name, None, True, "") for name in EMBEDDED]
    for name in NAMES[len(EMBEDDED) :]:
        needed = list(_FOLDERS.get(name, ()))
        if name in ("cifar10", "cifar100", "svhn", "stl10", "flowers102"):
            needed += dict.fromkeys(file for part in ("train", "test") for file, _ in files_of(name, part))
        if name == "imagenet200":
            needed += [f"ILSVRC2012/{part}/{wnid}" for part in ("train", "val") for wnid in imagenet200()]
        if data_dir is None:
            places.append(Place(name, None, False, "data_dir is not set"))
            continue
        root = Path(data_dir)
        absent = [n for n in needed if not (root / n).exists()]
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        # SVHN's files are in data_dir itself.
        path = root / needed[0] if len(needed) == 1 else (root / needed[0].split("/")[0] if "/" in needed[0] else root)
        places.append(Place(name, path, not absent, absent[0] + more if absent else ""))
    return places


def examine(name: str, data_dir: Path | str | None, expected: Mapping[str, int] | None) -> None:
    """Checks the files of a data set: their checksums, or, for a set of image files, which files exist.

    Raises DataError, one line, in the same cases as a job: damaged files, classes without images, and numbers of classes
    and images other than ``expected`` (None: any numbers). Images themselves are not decoded.
    """
    if name in folders.STREAMED and expected is not None:
        folders.check_counts(name, data_dir, expected)
        return
    for part in ("train", "test"):
        if name in folders.STREAMED:
            folders.listing(name, part, data_dir)
        else:
            check(name, part, data_dir)


def download(name: str, data_dir: Path | str) -> None:
    """Downloads a data set through torchvision, which checks it; files that exist already are not downloaded again.

    Raises DataError for a data set that has to be obtained by hand, and if the download fails.
    """
    if name not in DOWNLOADS:
        raise DataError(f"{name}: cannot be downloaded here; can be: {', '.join(DOWNLOADS)}")
    from torchvision import datasets

    root, parts = str(data_dir), [{"split": "train"}, {"split": "test"}] if name == "svhn" else [{}]
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        for part in parts:
            getattr(datasets, DOWNLOADS[name])(root, download=True, **part)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{name}: download to {root} failed: {error}") from error
