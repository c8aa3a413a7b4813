"""The search behind scale cpu: FGSM-RS on 45,000 training images of CIFAR-10, judged on the other 5,000, never on test images.

    python benchmarks/cpu_recipe.py DATA_DIR out.csv --network resnet_half --epochs 12 --lr 0.2 --precision bf16

Adds a row to the CSV: the settings, validation accuracy on clean images (all 5,000) and under PGD-20 at 8/255 (the first
1,000), minutes of one core spent training. One thread. docs/cpu.md holds the table that led to the scale's settings.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import torch

from leanat.attacks import threat
from leanat.attacks.pgd import PGD, Clean
from leanat.core import loop
from leanat.core.nouns import Method, Recipe, Run
from leanat.data import Augmentation, Crop, Flip, load, split
from leanat.evaluation.evaluate import evaluate
from leanat.models.names import build
from leanat.selection.basic import Everything
from leanat.training.objectives import CrossEntropy
from leanat.training.schedules import Cosine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", default="resnet_half")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument(
        "--warmup", type=float, default=0.3, help="share of the epochs in which the learning rate rises"
    )
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument(
        "--steps", type=int, default=1, help="of the training attack; 1 is FGSM-RS; 0 is standard training"
    )
    parser.add_argument("--step-size", type=float, default=10.0, help="in 1/255")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--seed", type=int, default=0)
    how = parser.parse_args()
    torch.set_num_threads(1)
    data = load("cifar10", "train", how.data_dir, seed=how.seed, augment=Augmentation((Crop(pad=4), Flip())))
    parts = split(data, 0.1, seed=0)
    net = build(how.network, 10, 32, 3, how.seed, data.mean, data.std)
    ball = threat.Linf(eps=8 / 255)
    attack = PGD(threat=ball, steps=how.steps, step_size=how.step_size / 255, start="uniform", training_mode=True)
    method = Method(objective=CrossEntropy(), attack=attack if how.steps else Clean(), selector=Everything())
    recipe = Recipe(
        epochs=how.epochs,
        batch=how.batch,
        lr=Cosine(lr=how.lr, warmup_share=how.warmup),
        momentum=0.9,
        nesterov=True,
        weight_decay=how.weight_decay,
        precision=how.precision,
    )
    run = Run(net, method, recipe, how.seed)
    started = time.process_time()
    loop.train(run, parts, lambda run: print(run.history[-1], flush=True))
    minutes = (time.process_time() - started) / 60
    pgd = PGD(threat=ball, steps=20, step_size=2 / 255, start="uniform")
    clean = evaluate(net, parts.validation, Clean(), seed=how.seed).clean_correct
    robust = evaluate(net, parts.validation, pgd, seed=how.seed, limit=1000).correct
    row = {key: value for key, value in vars(how).items() if key not in ("data_dir", "out")}
    row |= {
        "clean": round(100 * float(clean.mean()), 2),
        "pgd20": round(100 * float(robust.mean()), 2),
        "minutes": round(minutes, 1),
        "loss": round(run.history[-1]["loss"], 4),
    }
    new = not how.out.exists()
    with how.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(row)


if __name__ == "__main__":
    main()
