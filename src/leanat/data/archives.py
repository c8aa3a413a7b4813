"""Data sets that fit on the device: scikit-learn's digits, and CIFAR, SVHN and STL-10 from their official files.

A file is read only if its MD5 sum matches the published one, which matters most for the pickles of CIFAR.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from leanat.data.facts import DataError, facts
from leanat.data.tensors import TensorData, stratified

DIGITS = tuple("0123456789")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
DIGITS_TRAIN = 600


# Paths under data_dir and MD5 sums, as torchvision has them: importing it takes each job as long as importing torch.
CIFAR100_NAMES = ("cifar-100-python/meta", "7973b15100ade9c7d40fb424638fde48")
FLOWERS = [
    ("flowers-102/imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
    ("flowers-102/setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
]
PUBLISHED: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("cifar10", "train"): [
        ("cifar-10-batches-py/data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("cifar-10-batches-py/data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("cifar-10-batches-py/data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("cifar-10-batches-py/data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("cifar-10-batches-py/data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ],
    ("cifar10", "test"): [("cifar-10-batches-py/test_batch", "40351d587109b95175f43aff81a1287e")],
    ("cifar100", "train"): [("cifar-100-python/train", "16019d7e3df5f24257cddd939b257f8d"), CIFAR100_NAMES],
    ("cifar100", "test"): [("cifar-100-python/test", "f0ef6b0ae62326f3e7ffdfab6717acfc"), CIFAR100_NAMES],
    ("svhn", "train"): [("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373")],
    ("svhn", "test"): [("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3")],
    ("stl10", "train"): [
        ("stl10_binary/train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"),
        ("stl10_binary/train_y.bin", "5a34089d4802c674881badbb80307741"),
    ],
    ("stl10", "test"): [
        ("stl10_binary/test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"),
        ("stl10_binary/test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"),
    ],
    ("flowers102", "train"): FLOWERS,
    ("flowers102", "test"): FLOWERS,
}


def files_of(name: str, part: str) -> list[tuple[str, str]]:
    """(path under data_dir, MD5) of each file from which a part of a data set is read."""
    if (name, part) not in PUBLISHED:
        raise DataError(f"{name}: not a data set with published checksums")
    return PUBLISHED[name, part]


def contents(name: str, part: str, data_dir: Path | str | None) -> Iterator[bytes]:
    """The contents of the files of ``files_of``, one after the other.

    Raises DataError if one is missing or its MD5 is not the published one.
    """
    if data_dir is None:
        raise DataError(f"{name}: needs data_dir, the folder that holds the data sets")
    for file, md5 in files_of(name, part):
        path = Path(data_dir) / file
        if not path.is_file():
            raise DataError(f"{name}: {path} is missing; to get it: leanat data {data_dir} --download {name}")
        content = path.read_bytes()
        if (actual := hashlib.md5(content, usedforsecurity=False).hexdigest()) != md5:
            raise DataError(f"{name}: {path} is damaged (MD5 {actual}, should be {md5}); delete it and get it again")
        yield content


def check(name: str, part: str, data_dir: Path | str | None) -> None:
    """Reads the files and raises what ``contents`` raises."""
    for _ in contents(name, part, data_dir):
        pass


def tensor_data(images: np.ndarray | Tensor, labels: np.ndarray | Tensor, **own_facts) -> TensorData:
    """TensorData from uint8 [N, C, H, W] and whole-number labels [N]."""
    labels = torch.as_tensor(labels).long()
    return TensorData(images=torch.as_tensor(images), labels=labels, numbers=torch.arange(len(labels)), **own_facts)


def digits(part: str) -> TensorData:
    """Handwritten digits 8x8 of scikit-learn, levels 0..16 scaled to 0..255; 600 to train and 1,197 to test."""
    levels, labels = _digits()
    images = np.round(levels.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    whole = tensor_data(images, labels, **facts("digits", DIGITS))
    train, test = stratified(whole.labels, DIGITS_TRAIN / len(whole), 0, "digits")
    index = train if part == "train" else test
    return tensor_data(whole.images[index], whole.labels[index], **facts("digits", DIGITS))


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Levels [1797, 64] and labels, read from scikit-learn's file, since importing scikit-learn costs each job a second."""
    for folder in find_spec("sklearn").submodule_search_locations:
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            rows = np.loadtxt(file, delimiter=",", dtype=np.int64)
            return rows[:, :-1], rows[:, -1]
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def cifar(name: str, part: str, data_dir: Path | str | None) -> TensorData:
    """CIFAR-10 or CIFAR-100 (fine labels) from the official "python version" files."""
    batches = [pickle.loads(file, encoding="latin1") for file in contents(name, part, data_dir)]
    names = CIFAR10 if name == "cifar10" else tuple(batches.pop()["fine_label_names"])
    images = np.concatenate([b["data"] for b in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([b["labels" if name == "cifar10" else "fine_labels"] for b in batches])
    return tensor_data(images, labels, **facts(name, names))


def cifar10_tenth(part: str, data_dir: Path | str | None) -> TensorData:
    """A fixed tenth of CIFAR-10 with equally many examples per class: 5,000 to train and 1,000 to test."""
    whole = cifar("cifar10", part, data_dir)
    index, _ = stratified(whole.labels, 0.1, 0, "tenth")
    return tensor_data(whole.images[index], whole.labels[index], **facts("cifar10-tenth", CIFAR10, "cifar10"))


def svhn(part: str, data_dir: Path | str | None) -> TensorData:
    """Street View House Numbers, cropped digits; 73,257 to train (no extra set) and 26,032 to test."""
    (file,) = contents("svhn", part, data_dir)
    from scipy.io import loadmat

    source = loadmat(io.BytesIO(file))
    images = np.ascontiguousarray(source["X"].transpose(3, 2, 0, 1))
    return tensor_data(images, source["y"].ravel() % 10, **facts("svhn", DIGITS))  # in the file digit 0 is 10


def stl10(part: str, data_dir: Path | str | None) -> TensorData:
    """STL-10's labelled images 96x96: 5,000 to train and 8,000 to test."""
    images, labels = (np.frombuffer(file, np.uint8) for file in contents("stl10", part, data_dir))
    images = np.ascontiguousarray(images.reshape(-1, 3, 96, 96).swapaxes(2, 3))  # the file has columns before rows
    return tensor_data(images, labels.astype(np.int64) - 1, **facts("stl10", STL10))
