"""Digits in which some examples are more valuable than others: near-copies, a long tail of classes, wrong labels.

A selection can be better than a random subset if it keeps each original once, keeps rare examples, and leaves out wrong
labels. The sets are drawn from fixed keys; the test images are the unchanged test images of the digits.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from leanat.core.rng import Draws, key
from leanat.data.archives import DIGITS, digits
from leanat.data.facts import facts
from leanat.data.tensors import TensorData, some_of_each, stratified

NAMES = ("digits-copies", "digits-tail", "digits-noise")
COPIED, COPIES, RARE = 25, 20, 100  # originals with copies, copies of each, originals without copies
NOISE = 8  # largest difference between the pixels of a copy and its original, in grey levels of 255
LEAST = 20  # the first class has this many times the examples of the last
WRONG = 0.4  # share of wrong labels


def load_redundant(name: str, part: str) -> TensorData:
    """One of NAMES. ``origin``: the training digit that each example copies; ``planted``: which examples are rare or wrong."""
    whole = replace(digits(part), **facts(name, DIGITS, "digits"))
    if part == "test":
        return whole
    return {"digits-copies": near_copies, "digits-tail": long_tail, "digits-noise": wrong_labels}[name](whole)


def near_copies(whole: TensorData) -> TensorData:
    """600 examples of 125 originals: 25 are there 20 times, each with other noise of up to 8 / 255, and 100 once (``rare``)."""
    originals, _ = stratified(whole.labels, (COPIED + RARE) / len(whole), 0, "originals")
    often, once = stratified(whole.labels[originals], COPIED / (COPIED + RARE), 0, "copied")
    origin = torch.cat([originals[often].repeat(COPIES), originals[once]])
    order = _draws("copies", len(origin)).order()
    noise = _draws("copies", len(origin)).integers("noise", 2 * NOISE + 1, *whole.images.shape[1:]) - NOISE
    noise[COPIES * len(often) :] = 0
    images = (whole.images[origin].long() + noise).clamp(0, 255).to(torch.uint8)
    rare = torch.arange(len(origin)) >= COPIES * len(often)
    return _derived(whole, images[order], whole.labels[origin][order], origin[order], {"rare": rare[order]})


def long_tail(whole: TensorData) -> TensorData:
    """198 examples, from 58 of class 0 falling to 3 of class 9; ``rare`` are those of the last five classes."""
    classes = torch.arange(whole.n_classes)
    quota = (int(whole.labels.bincount().min()) * LEAST ** (-classes / (len(classes) - 1))).round().long()
    kept, _ = some_of_each(whole.labels, quota, 0, "tail")
    labels = whole.labels[kept]
    return _derived(whole, whole.images[kept], labels, kept, {"rare": labels >= len(classes) // 2})


def wrong_labels(whole: TensorData) -> TensorData:
    """600 examples, of which 40 % in each class have the label of another class, drawn at random (``wrong``)."""
    index, _ = stratified(whole.labels, WRONG, 0, "wrong")
    wrong = torch.zeros(len(whole), dtype=torch.bool)
    wrong[index] = True
    other = 1 + _draws("noise", len(whole)).integers("label", whole.n_classes - 1)
    labels = torch.where(wrong, (whole.labels + other) % whole.n_classes, whole.labels)
    return _derived(whole, whole.images, labels, torch.arange(len(whole)), {"wrong": wrong})


def _draws(name: str, n: int) -> Draws:
    return Draws(key(name), 0, torch.arange(n))


def _derived(
    whole: TensorData, images: Tensor, labels: Tensor, origin: Tensor, planted: dict[str, Tensor]
) -> TensorData:
    numbers = torch.arange(len(labels))
    return replace(whole, images=images, labels=labels, numbers=numbers, origin=origin, planted=planted)
