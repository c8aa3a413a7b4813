"""Q-TART: Quickly Training for Adversarial Robustness and in-Transferability (arXiv 2204.07024): settings, tables, figures.

Every value is the paper's, or is ``assumed``. Tables 4 to 7 are in appendix B of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from leanat.experiments.metrics import accuracy, column
from leanat.experiments.paper import Cell, Choice, ItemSpec, Paper, product
from leanat.experiments.spec import assumed, part, plain
from leanat.papers.qtart.methods import METHODS, OURS, REMOVING
from leanat.papers.qtart.scales import SCALES

NETWORKS = ["vgg16", "mobilenet", "densenet", "resnet50"]
LARGE = ("stl10", "mini-imagenet", "imagenet")
LABELS = {
    "vgg16": "VGG16",
    "mobilenet": "MobileNet",
    "densenet": "DenseNet",
    "resnet50": "ResNet50",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "stl10": "STL-10",
    "mini-imagenet": "miniImagenet",
    "imagenet": "ILSVRC2012",
    "sgd": "Baseline",
    "random": "Random",
    "dihcl": "DIHCL",
    "qtart": "Q-TART (Ours)",
    "sgd_smoothed": "Baseline + label smoothing",
    "loss_rank": "Removal by training loss",
    "qtart_late": "Q-TART, τ = 100",
    "qtart_bare": "Q-TART's removal",
    "loss_rank_bare": "Removal by training loss",
    "fgsm_rs": "[6]",
    "qtart_fgsm_rs": "Q-TART + [6]",
    "fgsm_rs_guarded": "[6] with early stop",
    "free": "[7]",
    "qtart_free": "Q-TART + [7]",
}

# -- hyper-parameters


def steps(lr: float, drops: list[int], factor: float) -> dict[str, Any]:
    """The learning rate of Tables 4 and 5, except for one cell."""
    return part("steps", lr=lr, drops=drops, factor=factor)


MOBILENET_SMOOTHING = assumed(
    0.1, "appendix B.2 prints 0.1 for Table 1 and 0.5 for the ablation, with the same result; Table 1's list is used"
)
RESNET50_GAMMA = assumed(
    5, "appendix B.2 prints 5, Table 2 and the caption of Figure 2 print 25; the appendix is about Table 1"
)
MOBILENET_COSINE = assumed(
    part("cosine", lr=0.1),
    "the caption of Table 4 says cosine for MobileNet on CIFAR-100, its cell prints steps at 90, 180, 260 of 200 epochs, which cannot be",
)
# fmt: off
# Tables 4 and 5, and appendix B.2 for ILSVRC2012: epochs, batch, learning rate, weight decay, Nesterov, gamma, smoothing.
HYPER: dict[tuple[str, str], tuple[Any, ...]] = {
    ("cifar10", "vgg16"): (300, 128, steps(0.1, [90, 180, 260], 0.2), 0.0005, True, 125, 0.7),
    ("cifar10", "mobilenet"): (350, 128, steps(0.1, [150, 250], 0.1), 0.00004, False, 125, MOBILENET_SMOOTHING),
    ("cifar10", "densenet"): (300, 64, steps(0.1, [150, 225], 0.1), 0.0001, False, 50, 0.0),
    ("cifar10", "resnet50"): (300, 128, steps(0.1, [90, 180, 260], 0.1), 0.0002, True, RESNET50_GAMMA, 0.3),
    ("cifar100", "vgg16"): (200, 128, steps(0.1, [60, 120, 160], 0.2), 0.0005, True, 250, 0.5),
    ("cifar100", "mobilenet"): (200, 128, MOBILENET_COSINE, 0.0001, True, 50, 0.7),
    ("cifar100", "densenet"): (300, 64, steps(0.1, [150, 225], 0.1), 0.0001, False, 50, 0.1),
    ("cifar100", "resnet50"): (300, 128, steps(0.1, [90, 180, 260], 0.1), 0.0002, True, 50, 0.2),
    ("stl10", "vgg16"): (300, 32, steps(0.01, [200], 0.1), 0.0005, True, 12, 0.3),
    ("stl10", "mobilenet"): (450, 64, steps(0.1, [300, 400], 0.2), 0.0005, True, 12, 0.5),
    ("stl10", "densenet"): (450, 64, steps(0.1, [300, 400], 0.2), 0.0005, False, 25, 0.0),
    ("stl10", "resnet50"): (1000, 128, steps(0.1, [300, 400, 600, 800], 0.2), 0.0005, True, 12, 0.1),
    ("mini-imagenet", "vgg16"): (300, 64, steps(0.01, [90, 180, 260], 0.2), 0.0005, True, 50, 0.1),
    # the printed drop at epoch 260 of 200 never comes
    ("mini-imagenet", "mobilenet"): (200, 128, steps(0.1, [90, 180, 260], 0.2), 0.0001, True, 125, 0.7),
    ("mini-imagenet", "densenet"): (300, 64, steps(0.1, [150, 225], 0.1), 0.0001, False, 125, 0.3),
    ("mini-imagenet", "resnet50"): (300, 128, steps(0.1, [90, 180, 260], 0.1), 0.0002, True, 5, 0.1),
    ("imagenet", "resnet50"): (100, 64, steps(0.1, [30, 60, 90], 0.1), 0.00003, True, 208, 0.3),
}
# Appendix B.3: gamma and label smoothing of Q-TART with [6], FGSM-RS, and with [7], Free-AT.
ADVERSARIAL: dict[str, dict[str, tuple[int, float]]] = {
    "qtart_fgsm_rs": {"vgg16": (125, 0.1), "mobilenet": (125, 0.7), "densenet": (50, 0.2), "resnet50": (12, 0.3)},
    "qtart_free": {"vgg16": (12, 0.5), "mobilenet": (125, 0.3), "densenet": (5, 0.1), "resnet50": (25, 0.7)},
}
# fmt: on
FILTERS = {"vgg16": 17, "mobilenet": 16, "densenet": 12, "resnet50": 12}  # appendix B.2, ablation
TAU = {"cifar10": 50, "cifar100": 50, "stl10": 50, "mini-imagenet": 50, "imagenet": 15}  # Table 1 caption; appendix B.2
NOISE = assumed(0.5, "delta ~ N(0, 0.5) does not say whether 0.5 is the variance; taken as the standard deviation")
MOMENTUM = assumed(
    0.9, "the tables print 'Mtm.' as True or False, which cannot be a value; read as Nesterov on or off at 0.9"
)
FULL = assumed("fp32", "not in the paper")
HALF = assumed("fp32", "not in the paper; the code that it cloned for [6] and [7] has apex O2 (float16) by default")
NO_SMOOTHING = assumed(
    0.0,
    "the baseline's loss, equation 2, has no smoothing; whether the paper's runs of Baseline and Random had Q-TART's is not said. Without it Random differs from Q-TART in the loss too",
)
CROP = "not in the paper; the usual crop and flip of CIFAR"
RESIZED = assumed(["random_resized_crop", "flip"], "not in the paper; the usual augmentation of ImageNet at 224 pixels")
AUGMENT = {
    "cifar10": assumed([part("crop", pad=4), "flip"], CROP),
    "cifar100": assumed([part("crop", pad=4), "flip"], CROP),
    "stl10": assumed(
        [part("crop", pad=12), "flip"], "not in the paper; the padding of CIFAR in proportion to 96 pixels"
    ),
    "mini-imagenet": RESIZED,
    "imagenet": RESIZED,
}

# Tables 6 and 7: DIHCL. In the caption of Table 6 MobileNet's schedule has 350 epochs; trainings of 300 epochs end at 300.
BOUNDS = [0, 5, 10, 15, 20, 30, 40, 60, 90, 140, 210, 300]
BANDIT = {  # the rule and its feedback
    "cifar10": ("exp3", "loss"),
    "cifar100": ("exp3", "loss"),
    "stl10": ("ucb", "change"),
    "mini-imagenet": ("thompson", "change"),
}
FOUR_TIMES = (
    "Table 7; on STL-10 DIHCL's own code trains four times the epochs that it is given, and so may the paper's runs"
)
DIHCL_CIFAR = assumed(
    [part("crop", pad=4), "flip", part("rotation", degrees=5), part("auto_augment", fill=128), part("cutout", size=16)],
    "the paper trains DIHCL by its authors' code, which augments CIFAR so (AutoAugment fills with grey, cutout with black), except "
    "that its AutoAugment turns images to the left alone and shears them by bicubic interpolation",
)
DIHCL_AUGMENT = {
    "cifar10": DIHCL_CIFAR,
    "cifar100": DIHCL_CIFAR,
    "stl10": assumed(
        [
            part("crop", pad=12),
            "flip",
            part("colour_jitter", brightness=0.4, contrast=0.4, saturation=0.4),
            part("cutout", size=32),
            part("lighting", deviation=0.1),
        ],
        "as DIHCL's own code has STL-10, but for the principal axes of ImageNet's colours, which are missing there (taken from fb.resnet.torch), and for clipping to [0, 1]",
    ),
    "mini-imagenet": assumed(
        ["random_resized_crop", "flip"], "DIHCL's own code has no miniImagenet; as the methods that it is compared with"
    ),
}


def spec(
    cell: Cell,
    gamma: Any = None,
    window: str = "last",  # Table 1: alpha = 1_L
    validation: Any = None,
    snapshots: list[int] | None = None,
) -> dict[str, Any]:
    """The spec of a run. ``gamma``: examples to remove; ``validation``: the share of the data that is held out."""
    data, model, method = cell["data"], cell["model"], cell["method"]
    how = METHODS[method]
    if method == "dihcl":
        run_spec = dihcl(data, model)
    else:
        hyper = hyper_of(cell)
        run_spec = {
            "data": {"augment": AUGMENT[data]},
            "model": {"standardise": "channel"},
            "recipe": hyper["recipe"],
            "method": method_of(cell, how, hyper["gamma"] if gamma is None else gamma, window, hyper["smoothing"]),
        }
    # section 4.1: "each DNN has two distinct versions, one suitable for the CIFAR datasets and another for the remaining"
    if data in LARGE:
        run_spec["model"]["name"] = f"{model}_imagenet"
    if validation is not None:
        run_spec["data"]["validation"] = validation
    if snapshots is not None:
        run_spec["snapshots"] = snapshots
    return run_spec


def hyper_of(cell: Cell) -> dict[str, Any]:
    """Recipe, gamma and smoothing of Tables 4, 5 and 8, and of appendix B."""
    model, method, how = cell["model"], cell["method"], METHODS[cell["method"]]
    epochs, batch, lr, weight_decay, nesterov, gamma, smoothing = HYPER[cell["data"], model]
    if "attack" in how:  # Table 8: the cyclic learning rate of [6] and [7]
        lr = part("triangle", lr_max=0.1, lr_min=0.0)
        nesterov = assumed(
            True,
            "Table 8 prints 'Mtm. True'; read as in Tables 4 and 5; the code of [6] and [7] has no Nesterov momentum",
        )
    if method in ADVERSARIAL:
        gamma, smoothing = ADVERSARIAL[method][model]
    if cell["item"] == "table2" and method == "qtart":
        gamma = plain(gamma)  # the row chooses its gamma among OPTIMA
        if model == "mobilenet":
            smoothing = 0.5  # as in the list of the ablation
    recipe = {
        "epochs": epochs,
        "batch": batch,
        "lr": lr,
        "weight_decay": weight_decay,
        "momentum": MOMENTUM,
        "nesterov": nesterov,
        "clip_value": None,
        "drop_last": False,
        "precision": HALF if "attack" in how else FULL,
    }
    return {"recipe": recipe, "gamma": gamma, "smoothing": smoothing}


def method_of(cell: Cell, how: Mapping[str, Any], gamma: Any, window: str, smoothing: Any) -> dict[str, Any]:
    """The objective, the attack, and the selector that removes examples at epoch tau."""
    tau = how.get("tau", TAU[cell["data"]])
    smoothed = smoothing if how.get("smooths") else 0.0 if how.get("bare") else NO_SMOOTHING
    attack, more = attack_of(how.get("attack"), how.get("drop"))
    return {
        "objective": part("cross_entropy", smoothing=smoothed),
        "attack": attack,
        "selector": removal(cell, how.get("removes"), tau, gamma, window),
        **more,
    }


def removal(cell: Cell, what: str | None, tau: int, gamma: Any, window: str) -> Any:
    """The selector that removes ``gamma`` examples from the training set at epoch ``tau``, chosen by ``what``."""
    if what is None:
        return "everything"
    if what == "random":
        unsaid = "when the random removal happens is not said; taken as Q-TART's tau"
        return part("once", tau=assumed(tau, unsaid), inner=part("random", count=gamma))
    if what == "loss":
        return part("once", tau=tau, inner=part("loss_rank", count=gamma))
    labels = 10 if cell["data"] == "imagenet" else None  # appendix A: the variant in two phases is only for ILSVRC2012
    fields = {"gamma": gamma, "window": window, "filters": FILTERS[cell["model"]], "noise": NOISE, "labels": labels}
    return part("once", tau=tau, inner=part("instability", **fields))


def attack_of(name: str | None, drop: float | None) -> tuple[Any, dict[str, Any]]:
    """The attack of training, and further fields of the method for it."""
    if name is None:
        return "clean", {}
    linf = part("linf", eps=8 / 255)
    if name == "free":
        step = assumed(8 / 255, "Table 8 gives [7] no step; the radius, as in the code it cloned")
        replays = assumed(8, "not in the paper; the default of the code it cloned")
        return part("free", threat=linf, step_size=step), {"replays": replays}
    single = {"threat": linf, "steps": 1, "step_size": 10 / 255, "start": "uniform"}
    strong = part("pgd", threat=linf, steps=5, step_size=2 / 255, start="uniform")  # the check in the code of [6]
    watch = part("watch", single=part("pgd", **single), strong=strong, examples=128, drop=drop)
    return part("pgd", **single, training_mode=assumed(True, "as in the code the paper cloned")), {"extras": [watch]}


def dihcl(data: str, model: str) -> dict[str, Any]:
    """DIHCL (Zhou et al. 2020), Tables 6 and 7."""
    longer = model == "mobilenet" and data in ("cifar10", "stl10")
    epochs: Any = 350 if longer else 300
    decay = assumed(0.0001, "as in DIHCL's own code for CIFAR-10")
    if data == "cifar100":
        decay = assumed(0.0002, "as in DIHCL's own code for CIFAR-100")
    episodes: dict[str, Any] = {"bounds": [*BOUNDS, 350] if longer else BOUNDS}
    if data == "cifar100":
        episodes["min_k"] = 0.4
    rule, feedback = BANDIT[data]
    bandit = part("bandit", episodes=episodes, rule=rule, feedback=feedback)
    teacher = assumed(0.9, "the tables say 'Mean Teacher: True'; as in DIHCL's own code")
    recipe = {
        "epochs": assumed(epochs, FOUR_TIMES) if data == "stl10" else epochs,
        "batch": 64 if model == "densenet" and data in ("stl10", "mini-imagenet") else 128,
        "lr": part("episodes", **episodes),
        "weight_decay": decay,
        "momentum": assumed(0.9, "Tables 6 and 7 give no optimiser; as in DIHCL's own code"),
        "nesterov": assumed(True, "as in DIHCL's own code"),
        "clip_value": None,
        "drop_last": False,
        "precision": FULL,
    }
    method = {
        "objective": part("mixup", episodes=episodes),
        "attack": "clean",
        "selector": bandit,
        "extras": [part("teacher", decay=teacher)],
    }
    return {
        "data": {"augment": DIHCL_AUGMENT[data]},
        "model": {"standardise": "channel"},
        "recipe": recipe,
        "method": method,
    }


def inputs(cell: Cell) -> dict[str, Any]:
    """The settings of a cell that ``iterations_saved`` needs."""
    hyper = hyper_of(cell)
    recipe = hyper["recipe"]
    return {"gamma": hyper["gamma"], "tau": TAU[cell["data"]], "epochs": recipe["epochs"], "batch": recipe["batch"]}


def iterations_saved(gamma: int, tau: int, epochs: int, batch: int) -> float:
    """Appendix B.4: gamma (E - tau) / batch, cut after two decimals as Table 9 prints it (not rounded)."""
    return math.floor(100 * (gamma * (epochs - tau) / batch)) / 100


# -- what the paper leaves open, apart from the assumed values in specs

FIGURES = ("figure1", "figure2", "figure3", "figure4", "figure5")
TRAINED = ("table1", "table2", *FIGURES, "overfitting", "decomposition")  # items that show networks of the last epoch
SMALL_NETWORKS = {
    "vgg16": ("VGG16", "13 convolutions with BatchNorm, then 512 units with BatchNorm",
              "section 4.1 describes no network; as in MINT, by the same authors"),
    "mobilenet": ("MobileNet", "MobileNet-V1 with a stem of stride 1",
                  "section 4.1 cites its paper and describes no version for small images"),
    "densenet": ("DenseNet", "DenseNet-BC of 121 layers, growth 12",
                 "section 4.1 describes no network; the 12 filters of appendix B.2 are a growth of 12"),
    "resnet50": ("ResNet50", "3 x 3 stem of stride 1, no pooling", "section 4.1 describes no version for small images"),
}  # fmt: skip


IMAGENETS = (0.229, 0.224, 0.225)
DEVIATIONS = {  # the same as in ``leanat.data.facts``
    "cifar10": (0.2023, 0.1994, 0.2010),
    "cifar100": (0.2673, 0.2564, 0.2762),
    "stl10": (0.2603, 0.2566, 0.2713),
    "mini-imagenet": IMAGENETS,
    "imagenet": IMAGENETS,
}
DENSENET_TRANSITIONS = (
    "features of DenseNet's transitions",
    "after ReLU alone: pooling comes before the next BatchNorm",
    "not in the paper; they count in the windows over several layers",
)


def choices(cell: Cell) -> Iterator[Choice]:
    item, data, method = cell.get("item"), cell.get("data"), cell.get("method")
    if method in REMOVING:
        yield (
            "sensitivity of a filter",
            "the absolute weights of the following layer that read it, summed",
            "section 3.3.3 thresholds the sensitivity of its reference 31, for which no formula is printed; as many filters are kept as appendix B.2 says, all of a layer that has no more",
        )
        yield (
            "projection H (equation 6)",
            "averages over at most 4 x 4 places, over the whole map where it has 4 places or fewer",
            "section 3.3.2 says only that P is much smaller than h w",
        )
        yield (
            "features",
            "after BatchNorm and ReLU, in a residual block before the addition, shortcuts left out; evaluation mode, images not augmented, one draw of the noise per image",
            "equations 1 and 5 have neither BatchNorm nor shortcuts, and in which mode and on which views the paper's were taken is not said",
        )
        if item == "table2" and cell.get("model") == "densenet":
            yield DENSENET_TRANSITIONS
        yield (
            "extremes of equation 7",
            "of each filter by itself",
            "the equation prints index (n, 1), the text says channel-wise",
        )
    if METHODS.get(method, {}).get("smooths"):
        yield "label smoothing", "from the first epoch on", "section 3.3.1 does not say whether before tau, too"
    if "attack" in METHODS.get(method, {}):
        yield (
            "momentum beside the cyclic learning rate",
            "the same throughout",
            "the code of [6] and [7] has torch's CyclicLR, which by default lowers it from 0.9 to 0.8 as the rate rises, and back",
        )
    if method in ("qtart_fgsm_rs", "qtart_free"):
        yield (
            "loss that the attack of training climbs beside label smoothing",
            "the plain cross-entropy with [6], the smoothed one with [7]",
            "not in the paper; as in the code of [6], whose attack has a loss of its own, and of [7], which climbs the training's. "
            "The smoothed one falls towards the label of an image that is surer than its target",
        )
    if item == "table2" and method == "qtart":
        yield (
            "windows (equation 9)",
            "N(0, 1): exp(-z^2 / 2) at as many z as there are layers, evenly from -2 to 2; halves with layer L/2 in both",
            "the paper prints names alone",
        )
    if data == "imagenet" and method == "qtart":
        yield (
            "appendix A, first phase",
            "labels by their mean distance before equation 7, which is then taken over the images of the worst ten",
            "the appendix names equation 6 and says no more",
        )
    if method == "fgsm_rs_guarded":
        yield (
            "images of the early stop",
            "the first 128 of the training set, not augmented; the network in evaluation mode",
            "the code of [6] takes the first mini-batch of the epoch as it is augmented, in training mode",
        )
    if item == "planted":
        yield DENSENET_TRANSITIONS
        yield (
            "instability",
            "as in Q-TART's other items",
            "sensitivity, projection H, features, equation 7 and the windows are assumed as in the foot of Table 2",
        )
    if data in DEVIATIONS and method in REMOVING:
        yield (
            f"deviations of the channels that normalise {data}",
            str(DEVIATIONS[data]),
            "not in the paper, whose noise of 0.5 is in their units; as in many codes (of CIFAR-10: the means of each image's own)",
        )
    if item in TRAINED:
        yield (
            "network",
            "of the last epoch",
            "not said; the authors' other code (MINT) keeps the epoch that is best on the test data, which can only look better",
        )
    if method == "dihcl":
        yield (
            "network of DIHCL",
            "the student of the last epoch",
            "its code prints the best test accuracy over all epochs, of student and teacher, which can only look better; which of these the paper has is not said",
        )
    if data == "imagenet" and item in TRAINED:
        yield "trials", 3, "the paper has 1 (caption of Table 1), on which no claim could be tested"
    if method in ("free", "qtart_free"):
        yield (
            "first replay of a batch in [7]",
            "of images clipped to [0, 1]",
            "the code of [7] clips the images after a step alone, so that the perturbation of the batch before may leave the range once",
        )
    if method in ("free", "qtart_free") and item in TRAINED:
        yield "trials", 3, "the paper has 1 (caption of Figure 3), on which no claim could be tested"
    if item == "table3" and data in LARGE:
        yield (
            "time on files",
            "of the optimiser's steps, with that of decoding the files beside it",
            "section 4.5 has the time 'taken to load' these data and 'to iterate over' them, which may be the loading alone",
        )
    if item == "figure1":
        yield (
            "last layer",
            "what the classifier's head reads",
            "the caption says only 'computed from the last layer'",
        )
    if cell.get("attack") == "di2fgsm":
        yield (
            "size, place and coin of DI2-FGSM",
            "drawn for each image",
            "torchattacks draws them once for a whole batch, in each step",
        )
    if method == "dihcl":
        yield (
            "settings of DIHCL that Tables 6 and 7 do not have",
            f"each episode draws 0.9 of the share before, at least {0.4 if data == 'cifar100' else 0.3} of the examples; the learning "
            "rate rises from 0.0005 to 0.1 in the first episode and falls in each later one, in the second from 0.111 to 0.0005; "
            "where it starts is divided by 0.9 per episode up to the fifth and multiplied by it from then on, where it ends "
            "multiplied by 0.8 from the sixth on; temperature, mixup, restarts",
            "the defaults of its authors' code",
        )
        yield (
            "episodes of DIHCL",
            "begin at epochs 0, 5, 10, 15, 20, 30, 40, 60, 90, 140 and 210, where it trains for 350 at 300, too",
            "the default of its authors' code; the caption of Table 6 has them of MobileNet alone, to 350 also on CIFAR-100, where "
            "Table 6 has 300 epochs",
        )
        if data == "cifar100":
            yield "least share drawn", 0.4, "as in the script of its authors' code for CIFAR-100"
        yield (
            "normalisation in DIHCL",
            "as in the other methods' networks",
            "its code divides by other deviations: (0.2470, 0.2435, 0.2616) on CIFAR-10; on STL-10 mean and deviation are 0.5",
        )
        yield (
            "dropout",
            "as the other methods' networks: none in the versions for CIFAR",
            "its code has 0.3 in a Wide ResNet, which the paper's networks are not",
        )
    if data in ("cifar10", "cifar100") and cell.get("model") in SMALL_NETWORKS:
        yield SMALL_NETWORKS[cell["model"]]
    if data in LARGE:
        yield (
            "networks for larger images",
            "VGG16 with BatchNorm, and timm's mobilenetv1_100, densenet121 and resnet50",
            "section 4.1 describes none",
        )
    if data == "mini-imagenet":
        yield (
            "split of miniImagenet",
            "of each class's 600 images 500 to train, at random",
            "the paper's own split was to be published with its code, which it was not",
        )


def skip(cell: Cell) -> str | None:
    """The reason why the paper has not run a cell; None if it has."""
    if cell.get("data") != "imagenet":
        return None
    if cell.get("model") in ("vgg16", "mobilenet", "densenet") or cell.get("method") == "random":
        return "not in the paper: limited run-time (caption of Table 1)"
    if cell.get("method") == "dihcl":
        return "not run in the paper (it cites the authors of DIHCL)"
    return "tau is 15 of 100 epochs there (appendix B.2)" if cell.get("method") == "qtart_late" else None


def trials(cell: Cell) -> int | None:
    """Our number of trials for cells for which the paper has only 1 (captions of Table 1 and Figure 3), so that claims can be
    tested; None for other cells.
    """
    return 3 if cell.get("data") == "imagenet" or cell.get("method") in ("free", "qtart_free") else None


# -- attacks. Appendix B.3: "default settings provided for all the adversarial attacks" of torchattacks, as printed there; PGD20
# and CW are from FAT's code, as printed there.

LINF = part("linf", eps=8 / 255)


def of_fat(steps: int, **more: str) -> dict[str, Any]:
    """PGD with the radius, step and start of FAT's code."""
    threat = part("linf", eps=0.031)
    return part("pgd", threat=threat, steps=steps, step_size=0.00775, start="uniform", **more)


ATTACKS = {
    "mifgsm": part("mi_fgsm", threat=LINF, steps=5, step_size=2 / 255, decay=1.0),
    "ffgsm": part("pgd", threat=LINF, steps=1, step_size=10 / 255, start="uniform"),
    "di2fgsm": part(
        "di2_fgsm",
        threat=LINF,
        steps=20,
        step_size=2 / 255,
        decay=0.0,
        resize_rate=0.9,
        diversity_prob=0.5,
        random_start=False,
    ),
    "apgd_dlr": part("apgd", threat=LINF, loss="dlr", steps=100),
    "apgd_ce": part("apgd", threat=LINF, loss="ce", steps=100),
    "pgd20": of_fat(20),
    "cw": of_fat(30, loss="margin"),
}
SEVEN = {name: {"attack": attack} for name, attack in ATTACKS.items()}
THREE = ("mifgsm", "pgd20", "cw")  # the attacks of Figure 1
DISTANCES = {
    "attacks": assumed(
        [{"name": name, "attack": ATTACKS[name]} for name in THREE], "the paper says only 'three adversarial attacks'"
    ),
    "examples": None,
    "mapped": assumed(
        2000,
        "how many points the paper's maps have is not said; t-SNE of the first 2,000 test images by scikit-learn, perplexity 30, started from PCA",
    ),
}
SUITES = {
    "main": {**SEVEN, "alarm": {"masking": {"threat": LINF, "limit": 256, "queries": 500}}},
    "transfer": {  # section 4.4.2: attacks are made on all four networks
        "sources": {
            "model": assumed(
                NETWORKS,
                "the paper says only 'all four of the DNN architectures'; taken as trained by the target's own method and seed",
            )
        },
        **SEVEN,
    },
    "features": {"distances": {"measure": part("feature_distances", **DISTANCES)}},  # Figure 1
    # ours, with a radius at which standard networks differ
    "weak": {
        "fgsm2": {"attack": part("pgd", threat=part("linf", eps=2 / 255), steps=1, step_size=2 / 255, start="none")}
    },
    "overfitting": {name: SEVEN[name] for name in ("ffgsm", "pgd20")},
    # ours: removes as many examples as there are faint ones; filters as at demo
    "planted": {"planted": {"measure": part("planted", share=0.05, filters=8)}},
}

# -- tables and figures

CIFAR10 = {"data": "cifar10"}
NAMES = {
    "mifgsm": "MI-FGSM",
    "ffgsm": "FFGSM",
    "di2fgsm": "DI2-FGSM",
    "apgd_dlr": "APGD-DLR",
    "apgd_ce": "APGD-CE",
    "pgd20": "PGD-20",
    "cw": "CW",
}
SEVEN_COLUMNS = [column(label, name) for name, label in NAMES.items()]


def rows(methods: list[str], **facts: Any) -> list[dict[str, Any]]:
    """A row per combination; rows of methods that the paper does not have are marked."""
    return [row | ({"ours": True} if row["method"] in OURS else {}) for row in product(**facts, method=methods)]


def with_gamma(gamma: Any) -> dict[str, Any]:
    return {"settings": {"gamma": gamma}}


GAMMA_OF_FIGURE_1 = assumed(
    25, "Figure 1 does not say; the caption of Figure 2 and Table 2 print 25, appendix B.2 prints 5"
)


WINDOWS = {  # the windows of Table 2: as printed, and as named in the published numbers
    "last": ("α = 1_L (last layer)", "α = 1_{{L}}"),
    "first_half": ("α = 1_1:L/2 (first half)", "α = 1_{{1:L/2}}"),
    "second_half": ("α = 1_L/2:L (second half)", "α = 1_{{L/2:L}}"),
    "gaussian": ("α = N(0, 1)", "α = N(0, 1)"),
}
OPTIMA = assumed(
    [5, 12, 25, 50, 100, 125, 150, 250, 300], "the optima that the paper prints; what it searched is not said"
)


def chosen(window: str, by: str) -> dict[str, Any]:
    """A row of Table 2: the best gamma by accuracy on the test data (``clean``), or on validation data, which is ours."""
    group, printed = WINDOWS[window]
    return {
        "group": group,
        "label": "on test data" if by == "clean" else "on validation data",
        "method": "qtart",
        "choice": by,
        "best": {"of": "gamma", "values": OPTIMA, "by": by},
        "settings": {"validation": 0.1, "window": window},
        "published": {"row": printed},
    } | ({"ours": True} if by == "validation" else {})


def distances(attack: str) -> list[dict[str, Any]]:
    """The columns of Figure 1 for one attack."""
    keys = {
        "mean": "mean",
        "range": "range",
        "middle 90 %": "middle",
        "range / norm": "relative",
        "middle 90 % / norm": "middle_relative",
    }
    return [column(name, f"distances.{attack}_{key}", NAMES[attack]) for name, key in keys.items()]


ON_FOUR = {"base": CIFAR10, "seeds": {"lite": 3}, "digits": 1}
ADVERSARIAL_ROWS = product(model=NETWORKS, method=["fgsm_rs", "qtart_fgsm_rs", "free", "qtart_free"])
# Trainings without adversarial examples in Figures 2 and 3; ResNet50's gamma is that of Figure 2's caption and of Table 2.
ALONE_ROWS = [
    row | (with_gamma(25) if (row["model"], row["method"]) == ("resnet50", "qtart") else {})
    for row in product(model=NETWORKS, method=["sgd", "dihcl", "qtart"])
]
REMOVAL = ["random", "loss_rank_bare", "qtart_bare", "qtart"]
TAUS = [15, 30, 50, 75, 100, 150, 300]
RANKINGS = {
    "last layer": "last",
    "first half": "first_half",
    "second half": "second_half",
    "gaussian": "gaussian",
    "training loss": "loss",
    "random": "random",
}


def polar(label: str) -> dict[str, str]:
    return {"plot": "polar", "r_label": label}


# fmt: off
ITEMS = {
    "table1": ItemSpec(
        kind="table",
        title="Q-TART against mini-batch SGD, DIHCL and random removal (Table 1)",
        caption="Clean test accuracy (%). The three rows at the end of each network are ours: the paper's comparison changes the loss (label smoothing) together with the data. Random and Baseline have no label smoothing. Section 3.3.1 takes tau from {50, 100}; results are printed for 50 alone, and for ILSVRC2012 for 15.",
        metric="clean", unit="%", better="high", seeds={"cpu": 5, "lite": 3},
        rows=rows(["sgd", "random", "dihcl", "qtart", "sgd_smoothed", "loss_rank", "qtart_late"], model=NETWORKS),
        columns=product(data=["cifar10", "cifar100", "stl10", "mini-imagenet", "imagenet"]),
        published={"item": "table1", "row": "{model} | {method}", "column": "{data}"},
        options={"baseline": "Baseline"},
    ),
    "figure1": ItemSpec(
        kind="figure",
        title="Distances of the last features under attack, and maps of these features (Figure 1)",
        caption="l2 distances between the features of a test image and of its attacked version, as the classifier's head reads them. The third network, ours, has Q-TART's label smoothing and no removal. Range is greatest less least, as the paper draws it, which two images decide. The CSV also has the middle 90 %, the distance between the 5th and the 95th percentile (ours), and both relative to the features' mean norm, which smoothing changes.",
        base={"data": "cifar10", "model": "resnet50"}, seeds={"demo": 3, "lite": 3}, suite="features",
        rows=[
            {"method": "sgd"},
            {"method": "qtart", **with_gamma(GAMMA_OF_FIGURE_1)},
            {"method": "sgd_smoothed", "group": "", "label": "SGD + smoothing", "ours": True},
        ],
        columns=[shown for attack in THREE for shown in distances(attack)],
        better="low",
        options={"plot": "features", "attacks": {attack: NAMES[attack] for attack in THREE}},
    ),
    "figure2": ItemSpec(
        kind="figure",
        title="Seven attacks on networks trained without adversarial examples (Figure 2)",
        caption="The row of label smoothing alone is ours. The paper's curves are only in its picture.",
        **ON_FOUR, suite="main",
        rows=[*ALONE_ROWS, *rows(["sgd_smoothed"], model=NETWORKS)],
        columns=SEVEN_COLUMNS, unit="%", better="high", options=polar("accuracy under attack (%)"),
    ),
    "figure3": ItemSpec(
        kind="figure",
        title="Seven attacks on adversarially trained networks, with and without Q-TART, and on Figure 2's (Figure 3)",
        caption="[6] is FGSM-RS with the long schedule of Table 8, [7] Free-AT; Baseline, DIHCL and Q-TART alone, without adversarial examples, are Figure 2's networks. The table overfitting says whether single-step training collapsed. The paper's curves are only in its picture.",
        **ON_FOUR, suite="main", rows=[*ADVERSARIAL_ROWS, *ALONE_ROWS],
        columns=SEVEN_COLUMNS, unit="%", better="high", options=polar("accuracy under attack (%)"),
    ),
    "figure4": ItemSpec(
        kind="figure",
        title="In-transferability: mean over four sources of the attack (Figure 4)",
        caption="Mean accuracy when the adversarial examples are made on each of the four networks, trained by the same method. Images the target has wrong without an attack count as they are answered. The paper's curves are only in its picture.",
        **ON_FOUR, suite="transfer", rows=ADVERSARIAL_ROWS,
        columns=SEVEN_COLUMNS, unit="%", better="high", options=polar("mean accuracy over four sources (%)"),
    ),
    "figure5": ItemSpec(
        kind="figure",
        title="In-transferability: standard deviation over four sources of the attack (Figure 5)",
        caption="Standard deviation (n - 1) of the accuracies whose mean Figure 4 shows: low where it matters little which network the attack was made on. The paper's curves are only in its picture.",
        **ON_FOUR, suite="transfer", rows=ADVERSARIAL_ROWS,
        columns=[column(label, f"{name}@sd") for name, label in NAMES.items()],
        unit="points", better="low", options=polar("standard deviation over four sources (points)"),
    ),
    "overfitting": ItemSpec(
        kind="table",
        title="Does single-step training overfit catastrophically?",
        caption="Ours. Catastrophic overfitting: accuracy under the single step of training stays high while a stronger attack brings it to nothing. Test: FFGSM less PGD-20. Training: the widest gap to PGD-5 after any epoch and the deepest fall from one epoch to the next, on 128 training examples. With early stop (ours, as the code of [6] has it, off by default): training ends at a fall of more than 20 points.",
        base=CIFAR10, suite="overfitting", seeds={"demo": 1, "lite": 1}, digits=1,
        rows=rows(["fgsm_rs", "qtart_fgsm_rs", "fgsm_rs_guarded"], model=NETWORKS),
        columns=[
            accuracy("Clean"),
            accuracy("FFGSM", "ffgsm", "Test"),
            accuracy("PGD-20", "pgd20", "Test"),
            column("gap", "ffgsm-pgd20", "Test", unit="points", better="low"),
            column("widest gap", "metrics.watch_gap", "Training", unit="points", better="low"),
            column("deepest fall", "metrics.watch_fall", "Training", unit="points", better="low"),
            column("epochs", "metrics.epochs", "Training", unit="epochs", digits=0),
        ],
    ),
    "table3": ItemSpec(
        kind="table",
        title="Training time, and what removing samples can account for (Table 3)",
        caption="Minutes of a training with the paper's own networks and settings, composed of optimiser steps measured alone on the device named below, with images in its memory; Q-TART's selection, two forward passes over the training set, is counted, and often costs more than the removal saves: a negative saving. Removed: the share of a training's passes over examples that the removed ones would have taken, gamma (E - tau) / (N E); removing them can save no more. The last column: how many times that share the paper's printed times save. The paper counts the loading of files for miniImagenet and ILSVRC2012: what a core takes to decode all files that a training shows (one drawn JPEG of 500 x 375, measured) stands beside; Q-TART's selection decodes every file once more.",
        rows=[
            *product(data="mini-imagenet", method="qtart", model=NETWORKS, reference="sgd"),
            {"data": "imagenet", "method": "qtart", "model": "resnet50", "reference": "sgd"},
            *product(data="cifar10", method="qtart_free", model=NETWORKS, reference="free"),
        ],
        columns=[
            column("without Q-TART", "reference_minutes", "Minutes", unit="minutes", digits=1, published={"row": "{data} | {reference}"}),
            column("with Q-TART", "minutes", "Minutes", unit="minutes", digits=1, published={"row": "{data} | {method}"}),
            column("without Q-TART", "reference_decoding_minutes", "Minutes of a core for decoding files", unit="minutes", digits=1, published=None),
            column("with Q-TART", "decoding_minutes", "Minutes of a core for decoding files", unit="minutes", digits=1, published=None),
            column("time", "saved", "Saved", unit="%", digits=3, published={"row": "{data} | {method}", "against": "{data} | {reference}"}),
            column("removed", "removed", "Saved", unit="%", digits=3, published=None),
            column("paper / removed", "printed_over_removed", "Saved", unit="×", digits=0, published={"row": "{data} | {method}", "against": "{data} | {reference}"}),
        ],
        published={
            "item": "table3", "column": "Minutes | {model}",
            "labels": {"mini-imagenet": "miniIMAGENET", "sgd": "Baseline", "qtart": "Q-TART", "free": "[7]", "qtart_free": "Q-TART + [7]"},
        },
    ),
    "table2": ItemSpec(
        kind="table",
        one_block=True,  # groups are the windows, which are compared
        title="Four window functions, each with its best gamma (Table 2)",
        caption="Clean test accuracy (%) and the gamma chosen, in the paper's count of 50,000, among the optima the paper prints (what it searched is not said), one for all seeds, by accuracy on the test data, as the paper seems to have chosen, and (ours) on validation data. All runs train without the validation data (10 %; 20 % at demo), so that the two rows of a window differ in the choice alone; a choice on test data can only look better.",
        base=CIFAR10, seeds={"demo": 1},
        rows=[
            {"method": "sgd", "settings": {"validation": assumed(0.1, "not in the paper; to choose gamma on")}, "published": {"row": "Baseline"}},
            *(chosen(window, by) for window in WINDOWS for by in ("clean", "validation")),
        ],
        columns=[
            {"model": model, "quantity": quantity, **shown}
            for model in NETWORKS
            for quantity, shown in (
                ("Accuracy", {"metric": "clean", "unit": "%", "better": "high"}),
                ("γ", {"metric": "chosen", "unit": "samples", "digits": 0}),
            )
        ],
        published={"item": "table2", "column": "{model} | {quantity}"},
    ),
    "decomposition": ItemSpec(
        kind="figure",
        title="What Q-TART's two changes do, one at a time",
        caption="Ours. Difference to plain SGD with the same seed, in points of accuracy. Q-TART removes examples and smooths labels; the paper compares both at once with neither. 0.25 % is the paper's share. Removal at random and by training loss are references; removal is at the same epoch in all.",
        base={"data": "cifar10", "model": "vgg16"}, suite="weak", seeds={"demo": 20, "cpu": 5, "lite": 3, "paper": 5},
        rows=[
            {"share": 0, "method": "sgd_smoothed"},
            *(row for share in (0.25, 10, 30) for row in product(share=share, method=REMOVAL, **with_gamma(round(500 * share)))),
        ],
        columns=[
            column("clean", "clean", unit="points", better="high", reference="sgd", difference=True),
            column("FGSM, radius 2/255", "fgsm2", unit="points", better="high", reference="sgd", difference=True),
        ],
        options={"plot": "bars", "group": "share", "series": "method", "panel": "column_label", "x_label": "removed share of the training data (%)", "y_label": "points above SGD"},
    ),
    "planted": ItemSpec(
        kind="figure",
        title="Does Q-TART find the examples that are noisy?",
        caption="Ours; nothing is removed here. Drawn shapes of 32 x 32 hold 5 % faint examples (an eighth of the contrast) and 2 % blends of two classes. At each epoch tau the 5 % of the training set are taken that Q-TART would remove then, by its instability in each of its windows, by training loss, or at random: how many of them are faint, and how many blends? Chance is 5 and 2 %. Training is that of Q-TART before tau: everything, with its label smoothing.",
        base={"data": "cifar10", "method": "sgd_smoothed", "settings": {"snapshots": TAUS}}, suite="planted", seeds={"demo": 3},
        rows=[row for k, tau in enumerate(TAUS, 1) for row in product(tau=tau, snapshot=k, model=NETWORKS)],
        columns=[
            {"kind": kind, "ranking": ranking, "metric": f"planted.{key}_{found}"}
            for kind, found in (("faint", "faint"), ("blends", "ambiguous"))
            for ranking, key in RANKINGS.items()
        ],
        unit="%", digits=0,
        options={"plot": "lines", "x": "tau", "series": "ranking", "panel": ["kind", "model"], "x_label": "tau (epochs at the paper's scale)", "y_label": "% of those taken"},
    ),
    "table9": ItemSpec(
        kind="formula",
        title="Iterations that Q-TART saves (Table 9)",
        caption="gamma x (E - tau) / batch from the paper's own settings, cut after two decimals as the paper prints it. No run stands behind it.",
        unit="iterations",
        rows=[
            {"data": "mini-imagenet", "label": "Q-TART", "method": "qtart"},
            {"data": "imagenet", "label": "Q-TART", "method": "qtart"},
            {"data": "cifar10", "label": "Q-TART + [7]", "method": "qtart_free"},
        ],
        columns=product(model=NETWORKS),
        published={"item": "table9", "row": "{data} | {label}", "column": "Iterations Saved | {model}", "labels": {"mini-imagenet": "miniIMAGENET"}},
        inputs=inputs,
        formula=iterations_saved,
    ),
}
# fmt: on

PAPER = Paper(
    title="Q-TART: Quickly Training for Adversarial Robustness and in-Transferability",
    source="arXiv 2204.07024",
    seeds=5,  # section 4.1: "average statistics over 5 trials unless stated otherwise"
    labels=LABELS,
    spec=spec,
    suites=SUITES,
    items=ITEMS,
    methods=METHODS,
    skip=skip,
    choices=choices,
    trials=trials,
    repeats=25,  # section 4.5: repeats of a measured time (on a CPU 3)
    scales=SCALES,
)
