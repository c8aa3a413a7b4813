"""Photographs in folders: the files of each part of a data set, and their labels; no image is decoded here."""

from __future__ import annotations

import io
import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path

import torch
from torch import Tensor

from leanat.data.archives import contents
from leanat.data.facts import DataError, facts
from leanat.data.tensors import at_random, stratified

log = logging.getLogger("leanat")

ALLOWED_BY = "to use it all the same: other_counts=true (--set or --config), which the foot of every item then says"
STREAMED = ("mini-imagenet", "tiny-imagenet", "caltech256", "flowers102", "imagenet", "imagenet200", "imagenet12")
SUFFIXES = (".jpeg", ".jpg", ".png")

# ASSUMPTION: the 12 super-classes of ImageNet-12 (ACS, Table 2) were never published. These are the nine of Restricted
# ImageNet (Tsipras et al. 2019) and three more of the same kind, as ranges of WordNet numbers, both ends included.
IMAGENET12 = {
    "dog": ("n02085620", "n02113978"),
    "cat": ("n02123045", "n02124075"),
    "frog": ("n01641577", "n01644900"),
    "turtle": ("n01664065", "n01669191"),
    "bird": ("n01795545", "n01860187"),
    "primate": ("n02480495", "n02494079"),
    "fish": ("n02514041", "n02655020"),
    "crab": ("n01978287", "n01981276"),
    "insect": ("n02165105", "n02268443"),
    "snake": ("n01728572", "n01756291"),
    "spider": ("n01773157", "n01775062"),
    "fungus": ("n12985857", "n13054560"),
}
# SAT's lists were never published; 191 mini-batches of 128 and 6,122 test images (its code) imply 80 / 20.
CALTECH_TEST = 0.2


@dataclass(frozen=True)
class Listing:
    """The files of one part with their labels int64 [N], and the facts about the data set."""

    files: tuple[str, ...]
    labels: Tensor
    facts: dict
    resize: int  # the shorter side before the central crop
    ignored: tuple[str, ...] = ()  # other files beside the images, except hidden ones

    def of(self, index: Tensor) -> Listing:
        files = tuple(self.files[i] for i in index.tolist())
        return Listing(files, self.labels[index], self.facts, self.resize, self.ignored)


@cache
def say_ignored(name: str, ignored: tuple[str, ...]) -> None:
    """Logs one line, once for each data set, with the numbers and suffixes of the files that are ignored."""
    if ignored:
        kinds = Counter(Path(file).suffix.lower() or "no suffix" for file in ignored)
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(5))
        is_are = "1 file is" if len(ignored) == 1 else f"{len(ignored)} files are"
        log.warning(
            "%s: %s ignored (%s), the first is %s; read are %s", name, is_are, counts, ignored[0], " ".join(SUFFIXES)
        )


@cache
def imagenet200() -> tuple[str, ...]:
    """The 200 classes of ImageNet-A, which are those of SAT's ImageNet-200."""
    lines = package_files("leanat.data").joinpath("imagenet200.txt").read_text().splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def listing(name: str, part: str, data_dir: Path | str | None) -> Listing:
    """The files of ``part``. Raises DataError, one line, if folders or files are missing."""
    if data_dir is None:
        raise DataError(f"{name}: needs data_dir, the folder that holds the data sets")
    root = Path(data_dir)
    match name:
        case "imagenet" | "imagenet200" | "imagenet12":
            return _imagenet(name, part, root / "ILSVRC2012")
        case "mini-imagenet":
            whole = _photographs(name, root / name, None)
            # 600 images per class: 500 to train, 100 to test. Q-TART's own split was never published.
            test, train = stratified(whole.labels, 1 / 6, 0, name)
            return whole.of(train if part == "train" else test)
        case "tiny-imagenet":
            return _tiny(part, root / "tiny-imagenet-200")
        case "caltech256":
            whole = _photographs(name, root / "caltech256" / "256_ObjectCategories", None)
            train, test = at_random(whole.labels, int((1 - CALTECH_TEST) * len(whole.labels)), 0, name)
            return whole.of(train if part == "train" else test)
        case "flowers102":
            return _flowers(part, root)
    raise DataError(f"{name}: not a data set of photographs in folders")


def hidden(name: str) -> bool:
    """Whether a program has left this name for its own use: .ipynb_checkpoints, .DS_Store, ._photo.png, __MACOSX."""
    return name.startswith(".") or name in ("__MACOSX", "__pycache__")


def entries(name: str, folder: Path, folders: bool) -> list[str]:
    """Sorted names of the sub-folders (``folders``) or of the images in ``folder``, without hidden ones."""
    if not folder.is_dir():
        raise DataError(
            f"{name}: folder {folder} is missing; put the data set there (leanat data lists what is expected)"
        )
    with os.scandir(folder) as inside:
        if folders:
            return sorted(e.name for e in inside if e.is_dir() and not hidden(e.name))
        return sorted(e.name for e in inside if e.name.lower().endswith(SUFFIXES) and not hidden(e.name))


def others(folder: Path, beside_folders: bool = False) -> list[str]:
    """Sorted paths of everything in ``folder`` that is not an image, without hidden files and folders.

    ``beside_folders``: of everything that is not a folder instead, for folders that should only contain class folders.
    """
    with os.scandir(folder) as inside:
        visible = [e for e in inside if not hidden(e.name)]
        if beside_folders:
            return sorted(e.path for e in visible if not e.is_dir())
        return sorted(e.path for e in visible if not e.name.lower().endswith(SUFFIXES))


def _photographs(name: str, root: Path, groups: dict[str, list[str]] | None, inner: str = "") -> Listing:
    """The images in ``root/<folder>/inner``; each folder, or each group of folders, is a class."""
    groups = groups if groups is not None else {folder: [folder] for folder in entries(name, root, folders=True)}
    if len(groups) < 2:
        raise DataError(
            f"{name}: {root} holds {len(groups)} class folder{'s' * (len(groups) != 1)}, at least 2 are needed"
        )
    absent = [f for folders in groups.values() for f in folders if not (root / f).is_dir()]
    if absent:
        raise DataError(f"{name}: {len(absent)} class folders are missing in {root}, the first is {absent[0]}")
    paths, labels, ignored = [], [], others(root, beside_folders=True)
    for label, folders in enumerate(groups.values()):
        for folder in folders:
            here = root / folder / inner
            images = entries(name, here, folders=False)
            if not images:
                within = entries(name, here, folders=True)
                inside = f"; it holds folders such as {within[0]}" if within else ""
                raise DataError(f"{name}: no images in {here} ({', '.join(SUFFIXES)}){inside}")
            ignored += others(here)
            paths += [os.path.join(root, folder, inner, image) for image in images]
            labels += [label] * len(images)
    statistics = name if name == "tiny-imagenet" else "photographs"
    resize = 64 if name == "tiny-imagenet" else 256
    return Listing(tuple(paths), torch.tensor(labels), facts(name, tuple(groups), statistics), resize, tuple(ignored))


def _imagenet(name: str, part: str, root: Path) -> Listing:
    # The classes are those of the training folder, so that both parts number them in the same way.
    present = entries(name, root / "train", folders=True) if name != "imagenet200" else []
    match name:
        case "imagenet":
            groups = {wnid: [wnid] for wnid in present}
        case "imagenet200":
            groups = {wnid: [wnid] for wnid in imagenet200()}
        case _:
            groups = {k: [w for w in present if low <= w <= high] for k, (low, high) in IMAGENET12.items()}
            empty = [f"{k} ({IMAGENET12[k][0]} to {IMAGENET12[k][1]})" for k, wnids in groups.items() if not wnids]
            if empty:
                raise DataError(f"{name}: {root / 'train'} holds no class of {empty[0]}")
    folder = root / ("train" if part == "train" else "val")
    entries(name, folder, folders=True)
    return _photographs(name, folder, groups)


def _tiny(part: str, root: Path) -> Listing:
    name = "tiny-imagenet"
    wnids = entries(name, root / "train", folders=True)
    if part == "train":
        return _photographs(name, root / "train", {w: [w] for w in wnids}, "images")
    notes = root / "val" / "val_annotations.txt"
    if not notes.is_file():
        raise DataError(f"{name}: {notes} is missing")
    text = notes.read_text(encoding="utf-8", errors="surrogateescape")  # invalid bytes give a name that no file has
    rows = [line.split("\t")[:2] for line in text.splitlines() if line]
    if not rows:
        raise DataError(f"{name}: {notes} names no image")
    if cut := [k for k, row in enumerate(rows, 1) if len(row) < 2]:
        raise DataError(f"{name}: {notes}: entry {cut[0]} has no class; a file, a tab and its class are expected")
    number = {wnid: k for k, wnid in enumerate(wnids)}
    unknown = [wnid for _, wnid in rows if wnid not in number]
    if unknown:
        raise DataError(f"{name}: {notes} names class {unknown[0]}, which {root / 'train'} lacks")
    paths = _present(name, [str(root / "val" / "images" / file) for file, _ in rows])
    return Listing(paths, torch.tensor([number[w] for _, w in rows]), facts(name, tuple(wnids)), 64)


def _present(name: str, paths: list[str]) -> tuple[str, ...]:
    """The paths of a list that comes with a data set. Raises DataError if one of them is not a file."""
    if absent := [path for path in paths if not os.path.isfile(path)]:
        raise DataError(f"{name}: {len(absent)} of {len(paths)} images are missing, the first is {absent[0]}")
    return tuple(paths)


def _flowers(part: str, root: Path) -> Listing:
    """Oxford Flowers-102 as in SAT: the official training part for training, the official validation part for tests."""
    labels_file, parts_file = map(io.BytesIO, contents("flowers102", part, root))
    from scipy.io import loadmat

    labels = torch.as_tensor(loadmat(labels_file)["labels"].ravel().astype("int64")) - 1
    numbers = loadmat(parts_file)["trnid" if part == "train" else "valid"].ravel().tolist()
    paths = _present("flowers102", [str(root / "flowers-102" / "jpg" / f"image_{i:05d}.jpg") for i in numbers])
    names = tuple(f"flower {k + 1}" for k in range(102))
    return Listing(paths, labels[torch.tensor(numbers) - 1], facts("flowers102", names, "photographs"), 256)


def check_counts(name: str, data_dir: Path | str | None, expected: Mapping[str, int]) -> None:
    """Raises DataError, one line, if the numbers of classes or images are not ``expected``: {classes, train, test}.

    Only names of files are read. The numbers of an approximate set (``about: true`` in ``expected``) may differ by a tenth.
    """
    parts = {part: listing(name, part, data_dir) for part in ("train", "test")}
    counts = {"classes": len(parts["train"].facts["class_names"])} | {k: len(v.files) for k, v in parts.items()}
    if differences := other_counts(counts, expected):
        raise DataError(f"{name}: {differences}; {ALLOWED_BY}")


def other_counts(counts: Mapping[str, int], expected: Mapping[str, int]) -> str:
    """The differences of ``counts`` from ``expected``, in words, for an approximate set those above a tenth; empty if none."""
    slack = 0.1 if expected.get("about") else 0.0
    wrong = [k for k, n in counts.items() if abs(n - expected[k]) > slack * expected[k]]
    differences = ", ".join(f"{k} {counts[k]:,} in place of {expected[k]:,}" for k in wrong)
    return f"not as config/datasets.yaml has it: {differences}" if wrong else ""


def own(path: str, channels: int = 3, size: int | None = None) -> Listing:
    """Any folder of class folders of images, ``folder:PATH``; classes are numbered in the order of their sorted names.

    ``size``: side of the square that a network takes; None: that of the images if all are squares of one size, else 224.
    The shorter side is resized to ``size`` (from 128 on to 256/224 of it, as usual for ImageNet), and the central square is
    used. Mean and standard deviation are ImageNet's. Raises DataError.
    """
    root, name = Path(os.path.expanduser(path)), f"folder:{path}"
    if not path or not root.is_dir():  # an empty name would be the working folder
        raise DataError(f"{name}: no such folder; a folder with a folder of images for each class is expected")
    photographs = _photographs(name, root, None)
    same = _size(name, photographs.files)
    size = size or same or 224
    resize = size if size < 128 or size == same else size * 256 // 224
    if channels not in (1, 3):
        raise DataError(f"{name}: images of {channels} channels cannot be read from files; allowed: 1 or 3")
    about = photographs.facts | {"image_size": size, "channels": channels}
    if channels == 1:
        about |= {k: (sum(about[k]) / 3,) for k in ("mean", "std")}
    return replace(photographs, facts=about, resize=resize)


def _size(name: str, files: tuple[str, ...]) -> int | None:
    """The side of the images if all are squares of one size, else None; only headers are read."""
    from PIL import Image

    sizes = set()
    for file in files:
        try:
            with Image.open(file) as image:
                sizes.add(image.size)
        except Exception as error:
            raise DataError(f"{name}: cannot read image {file}: {' '.join(str(error).split())}") from error
        if len(sizes) > 1:
            return None
    width, height = sizes.pop()
    return width if width == height else None
