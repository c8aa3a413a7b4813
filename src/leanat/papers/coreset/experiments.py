"""l_inf-Robustness and Beyond: Unleashing Efficient Adversarial Training (ECCV 2022), adversarial coresets: settings, items.

Every value is the paper's, or (marked "code") from the authors' public code, hmdolatabadi/ACS, or is ``assumed``. The
appendices A to D are not in our text of the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leanat.experiments.metrics import accuracy, column, speedup
from leanat.experiments.paper import Cell, Choice, ItemSpec, Paper, product
from leanat.experiments.spec import assumed, merge, part, plain, upstream
from leanat.papers.coreset.lengths import drops_for, epochs_for
from leanat.papers.coreset.scales import SCALES

ROWS_OF_TABLE1 = {  # by the end of the method's name
    "_craig": "Adv. Craig (Ours)",
    "_gradmatch": "Adv. GradMatch (Ours)",
    "": "Full Adv. Training",
    "_random": "Random, drawn again",
}
LABELS = {
    "cifar10": "CIFAR-10",
    "svhn": "SVHN",
    "imagenet12": "ImageNet-12",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    **{f"{training}{end}": label for training in ("trades", "linf", "l2") for end, label in ROWS_OF_TABLE1.items()},
    "trades_random_once": "Random, drawn once",
    "linf_craig_whole": "Adv. Craig, batches kept whole",
    "linf_gradmatch_whole": "Adv. GradMatch, batches kept whole",
    "linf_gradmatch_published": "Adv. GradMatch, early stop and random fill-up",
    "linf_gradmatch_idle": "Adv. GradMatch, idle gap",
    "linf_gradmatch_train_mode": "Adv. GradMatch, gradients in training mode",
    "linf_craig_class": "Adv. Craig, by class",
    "linf_gradmatch_class": "Adv. GradMatch, by class",
    "linf_craig_example": "Adv. Craig, one by one",
    "linf_gradmatch_example": "Adv. GradMatch, one by one",
    "linf_gradmatch_all_layers": "Adv. GradMatch, gradients of all layers",
    "cosine": "cosine, last layer",
    "error": "relative error, last layer",
    "cosine_all": "cosine, all layers",
    "few_random": "Random, drawn again",
    "few_craig": "Craig, by batch",
    "few_craig_class": "Craig, by class",
    "few_gradmatch": "GradMatch, by batch",
    "few_gradmatch_class": "GradMatch, by class",
    "random": "Random",
    "craig_batch": "Craig, by batch",
    "craig_class": "Craig, by class",
    "craig_example": "Craig, one by one",
    "gradmatch_batch": "GradMatch, by batch",
    "gradmatch_class": "GradMatch, by class",
    "gradmatch_example": "GradMatch, one by one",
    "gradmatch_all": "GradMatch, by batch, all layers",
    "digits-copies": "500 near-copies of 25 digits, 100 others",
    "digits-tail": "long tail of classes",
    "digits-noise": "40 % wrong labels",
    "digits": "digits as they are",
    "linf_gradmatch_clean": "GradMatch on clean gradients",
    "pat": "Full PAT (Fast-LPA)",
    "pat_craig": "Adv. Craig (Ours)",
    "pat_gradmatch": "Adv. GRADMATCH (Ours)",
    "fat": "Fast Adv. Training",
    "fat_craig": "+ Adv. Craig (Ours)",
    "fat_gradmatch": "+ Adv. GradMatch (Ours)",
    "fat_random": "Random, drawn again",
    "fat_craig_class": "Adv. Craig, by class",
    "fat_gradmatch_class": "Adv. GradMatch, by class",
}

APPENDIX = "in appendix C, which is not in the text"
MEMORY = "in appendix C, which is not in the text; from memory"

# -- trainings on all data: their epochs, and the epochs at which the learning rate drops


def linf(eps: Any) -> dict[str, Any]:
    return part("linf", eps=eps)


def pgd(threat: dict[str, Any], steps: Any, step_size: Any, start: Any, **more: Any) -> dict[str, Any]:
    return part("pgd", threat=threat, steps=steps, step_size=step_size, start=start, **more)


CROSS_ENTROPY = part("cross_entropy", smoothing=0.0)
ALEXNET = upstream("alexnet", model="alexnet_cifar", seed=0)  # the network that LPIPS reads
LR_01 = assumed(0.1, APPENDIX)
EIGHT = linf(8 / 255)
CLIPPED_AT_ONCE = assumed("gaussian", "code, which clips it to [0, 1] after the first step alone; here at once")
IN_THE_BALL = assumed("uniform", "in the ball; the code draws from the cube round it, and so starts outside")  # of l_2
TRAININGS: dict[str, dict[str, Any]] = {
    "trades": {  # TRADES (equation 4), CIFAR-10
        "epochs": assumed(100, "in appendix C, which is not in the text; code: default 100"),
        "drops": [75, 90],  # code
        "lr": LR_01,
        "weight_decay": 0.0002,  # code
        "objective": part(
            "trades",
            beta=assumed(
                6.0,
                "1/lambda, in appendix C, which is not in the text; the code asks for it on its command line; 6 as TRADES",
            ),
        ),
        "attack": pgd(
            EIGHT,
            assumed(10, APPENDIX),
            assumed(1.785 / 255, APPENDIX),
            CLIPPED_AT_ONCE,
            loss="kl",
        ),
    },
    "linf": {  # PGD adversarial training, l_inf, CIFAR-10; code: README's example
        "epochs": 120,
        "drops": [80, 100],
        "lr": 0.01,
        "weight_decay": 0.0005,
        "attack": pgd(EIGHT, 10, 1.25 / 255, "uniform", training_mode=True),
    },
    "l2": {  # PGD adversarial training, l_2, SVHN
        "epochs": assumed(120, "in appendix C, which is not in the text; code: default 120"),
        "drops": [75, 90, 100],  # code
        "lr": LR_01,
        "weight_decay": 0.0005,  # code
        "attack": pgd(
            part("l2", eps=assumed(80 / 255, APPENDIX)),
            assumed(10, APPENDIX),
            assumed(8 / 255, APPENDIX),
            IN_THE_BALL,
            training_mode=True,  # code
        ),
    },
    "alexnet": {  # the network that LPIPS reads; PAT uses a checkpoint of its own
        "epochs": assumed(100, "PAT's AlexNet for CIFAR is a checkpoint without a recipe"),
        "drops": assumed([75, 90], "as epochs"),
        "lr": assumed(0.01, "as epochs"),
        "weight_decay": assumed(0.0005, "as epochs"),
        "attack": "clean",
    },
    "pat": {  # perceptual adversarial training (section 4.2)
        "epochs": assumed(90, APPENDIX),
        "batch": 50,  # code
        "drops": [45, 60, 80],  # code
        "warmup_epochs": assumed(5, "code, which begins at the rate of its first step; here at 0"),
        "lr": LR_01,
        "weight_decay": 0.0002,  # code
        "clip_value": 1.0,  # code
    },
    "fat": {  # Fast AT (section 4.3): FGSM with a random start, no cyclic learning rate
        "epochs": 60,  # Table 3: T / S_avg
        "drops": assumed([37, 56], MEMORY),
        "lr": LR_01,
        "weight_decay": assumed(0.0005, "as in the code of Fast AT"),
        # 8/255: section 4.3 ("norm <= 8"); the step and the mode are Fast AT's
        "attack": pgd(EIGHT, 1, assumed(10 / 255, "as in the paper of Fast AT"), "uniform", training_mode=True),
    },
    "few": {  # ours: small subsets of digits, among which some are more valuable than others
        "epochs": 250,
        "drops": [80, 100],
        "lr": 0.01,
        "weight_decay": 0.0005,
        "attack": pgd(EIGHT, 5, 2.5 / 255, "uniform", training_mode=True),
    },
}
BOUND = {"cifar10": 0.5, "imagenet12": 0.25}  # the bound on LPIPS; code
# section 4.1, "to 50% for CIFAR-10 and 30% for SVHN", and section 4.2
FRACTION = {"svhn": 0.3, "pat": 0.4, "few": 0.1066}
KAPPA = assumed(
    0.5, "in appendix C, which is not in the text; code: 0.5 in the README's example for l_inf, default 0.6"
)
KAPPA_OF_PAT = assumed(0.5, "in appendix C, which is not in the text; code: 0.6, in the configurations that PAT reads")
PERIOD = assumed(20, "section 3.3: 'usually greater than 15'; code: default 20")
PERIODS = {  # the periods of perceptual training, by data
    "cifar10": assumed(10, f"{MEMORY}; code: default 15"),
    "imagenet12": assumed(15, f"{MEMORY}; code: default 15"),
}

# -- data

FLIPPED = [part("crop", pad=4), "flip"]  # code
JITTER = part("colour_jitter", brightness=0.25, contrast=0.25, saturation=0.25)
PAT_AUGMENT = [part("crop", pad=4), "flip", JITTER, part("rotation", degrees=2)]  # code
IMAGENET_AUGMENT = assumed(
    [part("crop", pad=28), "flip", JITTER, part("rotation", degrees=2)],
    "code, but for the stored images that it crops, whose size is not known: here the central 224 of 256 pixels",
)

# -- methods: a training, the rule that chooses its data, and other differences


def choose(training: str, choice: str, **how: Any) -> dict[str, Any]:
    return {"training": training, "choice": choice} | how


METHODS: dict[str, dict[str, Any]] = {
    **{name: {"training": name} for name in ("trades", "linf", "l2", "alexnet", "pat", "fat")},
    **{
        f"{training}_{choice}": choose(training, choice)
        for training in ("trades", "linf", "l2", "pat", "fat")
        for choice in ("craig", "gradmatch")
    },
    # ours: random batches, drawn again every period, with a warm start; code: drawn once, with or without a warm start
    **{f"{training}_random": choose(training, "random") for training in ("trades", "linf", "l2", "fat")},
    "trades_random_once": choose("trades", "random", period=1000),
    # ours: the differences of the authors' code from ours, one at a time
    "linf_craig_whole": choose("linf", "craig", granularity="whole_batches"),
    "linf_gradmatch_whole": choose("linf", "gradmatch", granularity="whole_batches"),
    "linf_gradmatch_published": choose("linf", "gradmatch", as_published=True),
    "linf_gradmatch_idle": choose("linf", "gradmatch", idle=True),
    "linf_gradmatch_train_mode": choose("linf", "gradmatch", training_mode=True),
    "trades_evaluation_mode": {"training": "trades", "training_mode": False},
    "linf_craig_class": choose("linf", "craig", granularity="class"),
    "linf_gradmatch_class": choose("linf", "gradmatch", granularity="class"),
    "linf_craig_example": choose("linf", "craig", granularity="example"),
    "linf_gradmatch_example": choose("linf", "gradmatch", granularity="example"),
    "linf_gradmatch_all_layers": choose("linf", "gradmatch", all_layers=True),
    "linf_gradmatch_clean": choose("linf", "gradmatch", adversarial=False),  # vanilla selection, Figure 1b
    "fat_craig_class": choose("fat", "craig", granularity="class"),
    "fat_gradmatch_class": choose("fat", "gradmatch", granularity="class"),
    "fat_craig_whole": choose("fat", "craig", granularity="whole_batches"),
    "fat_craig_published": choose("fat", "craig", as_published=True),
    "fat_gradmatch_whole": choose("fat", "gradmatch", granularity="whole_batches"),
    "fat_gradmatch_published": choose("fat", "gradmatch", as_published=True),
    "fat_gradmatch_idle": choose("fat", "gradmatch", idle=True),
    "fat_gradmatch_train_mode": choose("fat", "gradmatch", training_mode=True),
    # ours: without a warm start, so that only the choice has an effect
    "few_random": choose("few", "random"),
    "few_craig": choose("few", "craig"),
    "few_craig_class": choose("few", "craig", granularity="class"),
    "few_gradmatch": choose("few", "gradmatch"),
    "few_gradmatch_class": choose("few", "gradmatch", granularity="class"),
}
OURS = {"trades_random", "linf_random", "l2_random"}  # rows of Table 1 that the paper does not have
OURS_FAT = ["fat_random", "fat_craig_class", "fat_gradmatch_class"]  # rows of Table 3 that the paper does not have
# For each row of the autopsy, the method that it is compared with and its label.
AUTOPSY = {
    "fat_craig": ("fat_random", "Craig against random"),
    "fat_craig_class": ("fat_random", "Craig by class against random"),
    "fat_gradmatch": ("fat_random", "GradMatch against random"),
    "fat_gradmatch_class": ("fat_random", "GradMatch by class against random"),
    "fat_craig_published": ("fat_craig", "Craig: batches that were not scored"),
    "fat_craig_whole": ("fat_craig", "Craig: batches kept whole"),
    "fat_gradmatch_whole": ("fat_gradmatch", "GradMatch: batches kept whole"),
    "fat_gradmatch_published": ("fat_gradmatch", "GradMatch: early stop, fill-up"),
    "fat_gradmatch_idle": ("fat_gradmatch", "GradMatch: idle gap"),
    "fat_gradmatch_train_mode": ("fat_gradmatch", "GradMatch: training mode"),
    "trades_evaluation_mode": ("trades", "TRADES: BatchNorm not updated"),
}


def spec(
    cell: Cell, fraction: float | None = None, kappa: float | None = None, period: int | None = None
) -> dict[str, Any]:
    """The spec of a run. ``fraction`` of the data is kept, chosen every ``period`` epochs, after a warm start of ``kappa``."""
    data, how = cell["data"], dict(METHODS[cell["method"]])
    training, choice = how.pop("training"), how.pop("choice", None)
    if fraction is None:
        on_cifar10 = training != "pat" or data == "cifar10"
        fraction = FRACTION.get(data, FRACTION.get(training, 0.5) if on_cifar10 else 0.5)
    usual = KAPPA_OF_PAT if training == "pat" else KAPPA
    wanted = usual if kappa is None else kappa
    periods = {"pat": PERIODS.get(data), "fat": assumed(5, MEMORY), "few": 63}
    again = how.pop("period", None) or period or periods.get(training, PERIOD)
    idle = how.pop("idle", False)
    objective = TRAININGS[training].get("objective", CROSS_ENTROPY)
    if choice is None and how:  # only for TRADES: the mode of the network
        objective = merge(objective, {"trades": how})
    run_spec = {
        "data": data_of(data, training),
        "model": {"standardise": "channel"},
        "recipe": recipe_of(
            training, None if choice is None or idle or training == "few" else (plain(wanted), fraction)
        ),
        "method": {
            "objective": objective,
            "attack": perceptual(BOUND[data]) if training == "pat" else TRAININGS[training]["attack"],
            "selector": "everything",
        },
    }
    if training == "alexnet":
        run_spec["model"]["name"] = "alexnet_cifar"
    elif data == "imagenet12":
        run_spec["model"]["name"] = "resnet50_imagenet"
    if training in ("linf", "few"):  # ours, for gradient_error
        run_spec["snapshots"] = [12, 60, 120] if cell["method"] == "linf" else []
    if training == "few":
        run_spec["method"]["extras"] = ["kept"]
    if choice is not None:
        inner = chosen(choice, fraction, **how)
        if training == "few":
            selector = part("every", period=again, warmup=0, inner=inner)
        else:
            selector = part("warm_start", kappa=wanted, period=again, inner=inner, **({"idle": True} if idle else {}))
        run_spec["method"]["selector"] = selector
    return run_spec


def in_training_mode(training: str) -> bool:
    """Whether a training's own attack runs the network in training mode, which updates BatchNorm's averages."""
    attack = TRAININGS[training].get("attack")
    return isinstance(attack, dict) and "training_mode" in attack["pgd"]


def data_of(data: str, training: str) -> dict[str, Any]:
    """Augmentation and held-out share (code). CRAIG and GRAD-MATCH do not use the held-out examples; their share is 10 % for SVHN
    and PAT on CIFAR-10, 5 % for ImageNet-12.
    """
    if data == "imagenet12":
        return {"augment": IMAGENET_AUGMENT, "validation": 0.05}
    if training == "pat":
        return {"augment": PAT_AUGMENT, "validation": 0.1}
    return {"augment": FLIPPED, "validation": 0.1 if data == "svhn" else 0.01}  # SVHN is flipped, as the code has it


def recipe_of(training: str, coreset: tuple[float, float] | None) -> dict[str, Any]:
    """The recipe of a training. ``coreset``: kappa and the fraction c. Coreset runs last E (1 - kappa + kappa c) epochs, so that
    they cost c E. They lower the learning rate after as many epochs on the coreset as the authors' code, without its idle epochs.
    """
    how = TRAININGS[training]
    epochs, drops = how["epochs"], how["drops"]
    if coreset is not None:
        whole = plain(epochs)
        later = drops_for(plain(drops), whole, *coreset)
        drops = later if isinstance(drops, list) else assumed(later, MEMORY)
        epochs = epochs_for(whole, *coreset)
    warmup = {"warmup_epochs": how["warmup_epochs"]} if "warmup_epochs" in how else {}
    return {
        "epochs": epochs,
        "batch": how.get("batch", 128),  # code
        "lr": part("steps", lr=how["lr"], drops=drops, factor=0.1, **warmup),
        "momentum": 0.9,
        "nesterov": assumed(False, "not in the paper; torch's SGD as the code of its baselines has it"),
        "weight_decay": how["weight_decay"],
        "clip_value": how.get("clip_value"),
        "drop_last": False,
        "precision": assumed("fp32", "not in the paper"),
    }


def chosen(choice: str, fraction: float, granularity: str = "batch", **how: Any) -> dict[str, Any]:
    """The selector. ``features`` of CRAIG: gradients of the bias only, as in the code; ``lam`` of GRAD-MATCH: code."""
    if choice == "random":
        return part("random", fraction=fraction, whole_batches=True)
    if choice == "craig":
        return part("craig", fraction=fraction, granularity=granularity, features=False, **how)
    return part("grad_match", fraction=fraction, granularity=granularity, lam=0.0, **how)


def perceptual(bound: float) -> dict[str, Any]:
    attack = part("fast_lpa", bound=bound, steps=10, only_correct=True)  # code
    return part("perceptual", network=ALEXNET, attack=attack)


PRINTED = {"table1", "table2", "table3", "figure2", "figure3"}  # items of the paper
PERCEPTUAL = ("lpa", "ppgd", "recoloradv")


def choices(cell: Cell) -> Iterator[Choice]:
    """What the paper leaves open, apart from the assumed values in specs."""
    how, data = METHODS.get(cell.get("method"), {}), cell.get("data")
    training, choice, granularity = how.get("training"), how.get("choice"), how.get("granularity", "batch")
    selects = choice in ("craig", "gradmatch")
    compared = str(cell.get("selector", ""))  # by gradient_error
    if training == "trades" and how.get("training_mode", True):
        yield (
            "BatchNorm of TRADES",
            "in training mode",
            "the code never leaves evaluation mode, so that its BatchNorm keeps the statistics of an untrained network; "
            "the printed 44.19 % is such a network's (autopsy)",
        )
    if training == "trades":
        yield (
            "radius of TRADES, in training and test",
            "8/255",
            "in appendix C, which is not in the text; the code asks for it on its command line; as l_inf training",
        )
        yield (
            "second term of equations 4, 14 and 15",
            "KL(p(x) || p(x')) / lambda, with the gradient through both",
            "as in TRADES and in the code; the paper prints the cross-entropy of f(x') with f(x) / lambda",
        )
    if training != "alexnet" and training is not None and cell.get("item") in PRINTED:
        last = ", the last of PAT's 90 after 80" if training == "pat" else " and tests the last"
        yield (
            "network that is tested",
            "after the last epoch",
            f"not in the paper; the code saves one every 20 epochs{last}",
        )
    if str(cell.get("attack")).startswith("pgd50"):
        yield (
            "what of several restarts counts",
            "an image is fooled where any of them fools it",
            "not in the paper; the code keeps of each image the restart of the highest loss alone, whose accuracies are higher",
        )
    if cell.get("item") in PRINTED - {"table1"}:
        yield "trials", 5, "caption of Table 1; this item does not say"
    if selects:
        yield (
            "view that a selection attacks and scores",
            "one, that which the epoch trains on",
            "not in the paper; the code makes delta on one random crop and flip, and adds it to another",
        )
    by_batch = choice == "gradmatch" and granularity in ("batch", "whole_batches")
    if by_batch or compared in ("gradmatch_batch", "gradmatch_all"):
        yield (
            "batches that GRAD-MATCH chooses among",
            "cut anew, at random, at every selection",
            "not in the paper; the code cuts them once, in the order of the data set",
        )
    if compared.startswith("gradmatch") or (choice == "gradmatch" and not how.get("as_published")):
        yield (
            "solver of GRAD-MATCH",
            "goes on until the budget or the sum is met, and adds nothing",
            "not in the paper; the code's stops where it would choose a batch again, and fills up with random examples of weight 1 (variants: early stop and random fill-up)",
        )
    if cell.get("item") == "table3" and cell.get("attack"):
        yield (
            "attack of the test",
            "PGD-50-10 at 8/255",
            "section 4.3 and the caption of Table 3 name none; as of l_inf training in Table 1",
        )
    if cell.get("item") == "figure2" and training == "fat":
        yield (
            "Fast AT of Figure 2",
            "that of Table 3, without a cyclic learning rate",
            "section 4.3 names the stable version for Table 3 alone",
        )
    if cell.get("item") == "figure2" and cell.get("attack"):
        yield (
            "attack at each radius",
            "10 restarts, steps of 2/255",
            "Figure 2 says PGD-50 alone; as in Table 1 (code)",
        )
    if str(cell.get("suite")).startswith("pat_") and cell.get("attack") in PERCEPTUAL:
        yield (
            "perceptual attacks",
            "of PAT's code, but each image decides for itself where that decides for a batch (end of conjugate gradients, "
            "bisection after Newton's steps, to the last point inside); LPA leaves alone what is fooled within the bound; "
            "PPGD's finite differences are along unit vectors; ReColorAdv leaves colours outside its lattice where they are",
            "PAT's code moves LPA's images once more, takes differences of a length that depends on the logits, and pulls "
            "such colours onto the lattice's border",
        )
    if selects:
        yield (
            "weights gamma in a mini-batch",
            "divided by their sum",
            "as in the code; equation 7 has the sum of weighted losses",
        )
    if selects and cell.get("metric") in ("minutes", "minutes_per_epoch", "speedup"):
        yield (
            "what a selection is timed with",
            "the attack on the images that are trained on, their gradients, the solver",
            "the code attacks the images held out, too, which neither CRAIG nor GRAD-MATCH uses: 1 % more of them, 11 % for "
            "SVHN and for PAT on CIFAR-10, 5 % for PAT on ImageNet-12",
        )
    if selects and granularity == "batch":
        yield (
            "mini-batches of a coreset of chosen batches",
            "its examples, shuffled anew each epoch",
            "not in the paper; the code trains on the chosen batches as they are, where the weights cancel (variants: batches kept whole)",
        )
    in_evaluation = selects and not how.get("training_mode") and how.get("adversarial", True)
    if in_evaluation or compared.startswith(("craig", "gradmatch")):
        yield (
            "mode in which a selection takes gradients",
            "evaluation",
            "not in the paper; the code takes them in training mode (variants: gradients in training mode)",
        )
    if in_evaluation and in_training_mode(training):
        yield (
            "BatchNorm's averages while a selection takes gradients",
            "those of the training",
            "not in the paper; the attack runs in training mode (code) and moves them, so they are put back after each batch; the code's gradients, in training mode, use none",
        )
        if cell.get("item") == "table3":
            yield (
                "coresets of the replicated numbers",
                "of an earlier version",
                "their selections' attacks moved BatchNorm's averages from batch to batch; on the digits this changes two of CRAIG's ten batches, and none of GRAD-MATCH's",
            )
    if training == "l2":
        yield (
            "ball and range of pixels in l_2, in training and test",
            "a step is brought into the ball, then into [0, 1]",
            "not in the paper; the code clips to [0, 1] first, so that clipped images still reach the ball's edge",
        )
    if (
        choice == "craig"
        and granularity in ("batch", "whole_batches")
        and training != "few"
        and not how.get("as_published")
    ):
        yield (
            "examples of a batch that CRAIG chooses",
            "those that were scored",
            "as the paper says; the code looks them up in another order, so that its batches are random ones",
        )
    if selects and training == "trades":
        yield (
            "weight of the KL gradient in TRADES selections",
            "1/lambda",
            "equation 14; the code multiplies by it twice",
        )
    if choice == "random" and training != "few":
        yield (
            "warm start of random subsets",
            "as that of the coresets",
            "not in the paper; the code has Random, without one, and Random-Warm, and draws once in both",
        )
    if choice is not None and not how.get("idle") and training != "few":
        yield (
            "epochs of a coreset run",
            "E (1 - kappa + kappa c), each drop of the learning rate after as many coreset epochs as in the code",
            "not in the paper, whose times are c E; the code leaves the other epochs idle (variants: idle gap)",
        )
    if data == "imagenet12":
        yield (
            "the 12 classes of ImageNet-12",
            "dog, cat, frog, turtle, bird, primate, fish, crab, insect, snake, spider, fungus",
            "never published; the nine of Restricted ImageNet and three in its manner",
        )
    if training == "pat" and data == "imagenet12":
        yield (
            "network of the LPIPS distance",
            "an AlexNet in the form for CIFAR, trained on the same 12 classes",
            "PAT's is ImageNet's AlexNet, to which the bounds 0.25 and 0.5 belong and whose weights are not here: a ball of another shape and size",
        )
    if training == "pat":
        yield (
            "the five unseen attacks, their radii, bounds and steps",
            "AutoAttack in l_inf and l_2, StAdv, ReColorAdv, JPEG, by PAT's README",
            "in appendices C and D, which are not in the text; section 4.2: similar to PAT's, whose commands for CIFAR-10 have no JPEG",
        )
    if training in ("trades", "pat") and selects and data == "cifar10":
        yield (
            "first selection",
            "when the warm start ends",
            "the code waits for the next multiple of T, on a random subset until then (at kappa 0.5, TRADES: 10 epochs, 2 selections, not 3; PAT: 5 epochs, 4, not 5)",
        )
    if training == "pat" and data == "cifar10":
        yield (
            "network of perceptual training on CIFAR-10",
            "ResNet-50 with a 3 x 3 stem, and CIFAR-10's mean and deviation",
            "not in the paper; the code has ImageNet's stem of stride 2 with pooling, and ImageNet's mean and deviation, here, too",
        )
        yield (
            "network of the LPIPS distance",
            "an AlexNet trained on CIFAR-10 here",
            "PAT's is a checkpoint of the same form, to which the bound 0.5 belongs and which is not here",
        )


# -- attacks of the tests. Code: PGD-50 with 10 restarts and step 2/255, which skips images that are fooled already (from Fast
# AT), with the eps of training. For TRADES the final attack of the code has 20 restarts and step 0.765/255.


def pgd50(
    threat: dict[str, Any], step_size: float = 2 / 255, restarts: int = 10, start: Any = "uniform"
) -> dict[str, Any]:
    return {"attack": pgd(threat, 50, step_size, start, restarts=restarts, only_correct=True)}


def of_pat(ball: dict[str, Any], l2: float, steps: int, jpeg_bound: Any, jpeg_steps: Any) -> dict[str, Any]:
    """The attacks of PAT's evaluation (from the command lines in its README)."""
    attacks = {
        "autolinf": part("autoattack", threat=ball),
        "autol2": part("autoattack", threat=part("l2", eps=l2)),
        "stadv": part("stadv", bound=0.05, steps=steps),
        "recoloradv": part("recoloradv", bound=0.06, steps=steps),
        "jpeg": part("jpeg", bound=jpeg_bound, steps=jpeg_steps),
    }
    for name in ("ppgd", "lpa"):
        attacks[name] = part("perceptual", network=ALEXNET, attack=part(name, bound=0.5, steps=40))
    return {name: {"attack": attack} for name, attack in attacks.items()}


SELECTORS = {  # the selectors that gradient_error compares
    "random": chosen("random", 0.5),
    "craig_batch": chosen("craig", 0.5),
    "craig_class": chosen("craig", 0.5, "class"),
    "gradmatch_batch": chosen("gradmatch", 0.5),
    "gradmatch_class": chosen("gradmatch", 0.5, "class"),
    "gradmatch_all": chosen("gradmatch", 0.5, all_layers=True),
}
SUITES = {
    "linf": {"pgd50_10": pgd50(EIGHT)},
    "trades": {"pgd50_20": pgd50(EIGHT, 0.765 / 255, 20)},
    "l2": {"pgd50_10": pgd50(part("l2", eps=assumed(80 / 255, "as in training")), start=IN_THE_BALL)},
    # Figure 2 says PGD-50; the radii are only in its picture
    "radii": {f"eps{eps}": pgd50(linf(eps / 255)) for eps in (2, 4, 6, 8, 10, 12, 16)},
    "gradients": {  # ours
        "gradients": {
            "measure": part(
                "gradient_error",
                objective=CROSS_ENTROPY,
                attack=TRAININGS["linf"]["attack"],
                batch=128,
                fractions=[0.1, 0.3, 0.5],
                selectors=[{"name": name, "selector": selector} for name, selector in SELECTORS.items()],
            )
        }
    },
    "pat_cifar10": of_pat(
        EIGHT,
        1.0,
        steps=100,
        jpeg_bound=assumed(0.25, "PAT's README has no command for it on CIFAR-10; the default of its class"),
        jpeg_steps=assumed(200, "as on ImageNet"),
    ),
    "pat_imagenet12": of_pat(linf(4 / 255), 1200 / 255, steps=200, jpeg_bound=0.125, jpeg_steps=200),
}

# -- tables and figures

CIFAR10 = {"model": "resnet18", "data": "cifar10"}
ACC = accuracy("ACC", published={"column": "↑ ACC (%)"})
MINUTES = {"unit": "minutes", "better": "low"}
OWN = [accuracy("ACC"), accuracy("RACC", "pgd50_10")]  # the columns of items that the paper does not have


def of_table1(objective: str, data: str, training: str, metric: str) -> list[dict[str, Any]]:
    """The rows of a block of Table 1: CRAIG, GRAD-MATCH, full training, and random subsets, which are ours."""
    methods = [f"{training}{end}" for end in ROWS_OF_TABLE1]
    rows = product(objective=objective, data=data, method=methods, suite=training, metric=metric)
    return [row | ({"ours": True} if row["method"] in OURS else {}) for row in rows]


UNSEEN = {
    "AutoAttack ℓ_∞": "autolinf",
    "AutoAttack ℓ_2": "autol2",
    "StAdv": "stadv",
    "ReColorAdv": "recoloradv",
    "JPEG": "jpeg",
    "PPGD": "ppgd",
    "LPA": "lpa",
}
AGAINST = {method: other for method, (other, _) in AUTOPSY.items()}
FEW = ["few_random", "few_gradmatch", "few_gradmatch_class", "few_craig", "few_craig_class"]
TRADES_SUBSETS = ["trades_random_once", "trades_random", "trades_gradmatch"]
THREE = ["linf_gradmatch", "linf_craig", "linf_random"]
# fmt: off
ITEMS = {
    "table1": ItemSpec(
        kind="table",
        title="TRADES and PGD with adversarial coresets (Table 1)",
        caption="Batch-wise CRAIG and GRAD-MATCH with warm start, 50 % of CIFAR-10 and 30 % of SVHN; PGD-50-10, for TRADES PGD-50-20 of step 0.765/255. The paper's robust accuracies for PGD are those of the authors' README. T is composed of measured steps on ResNet-18 with the paper's settings, on the device named below, selections included. Random subsets are ours.",
        base={"model": "resnet18"},
        rows=[
            *of_table1("TRADES", "cifar10", "trades", "pgd50_20"),
            *of_table1("ℓ_∞-PGD", "cifar10", "linf", "pgd50_10"),
            *of_table1("ℓ_2-PGD", "svhn", "l2", "pgd50_10"),
        ],
        columns=[
            ACC,
            {"group": "", "label": "RACC", "unit": "%", "better": "high", "published": {"column": "↑ RACC (%)"}},
            column("T", "minutes", **MINUTES, digits=0, published={"column": "↓ T (mins)"}),
        ],
        published={"item": "table1", "row": "{objective} | {data} | {method}"},
        options={"baseline": "Full Adv. Training"},
    ),
    "table2": ItemSpec(
        kind="table", seeds={"demo": 1},
        title="Perceptual adversarial training against unseen and seen attacks (Table 2)",
        caption="Fast-LPA; 40 % of CIFAR-10, 50 % of ImageNet-12. Unseen and seen are means; each attack stands by itself in the columns behind them (appendix D of the paper, which is not in the text).",
        base={"model": "resnet50"},
        rows=[
            row for data in ("cifar10", "imagenet12")
            for row in product(data=data, method=["pat_craig", "pat_gradmatch", "pat"], suite=f"pat_{data}")
        ],
        columns=[
            ACC,
            accuracy("Unseen", "autolinf+autol2+stadv+recoloradv+jpeg", "RACC", published={"column": "↑ RACC (%) | Unseen"}),
            accuracy("Seen", "ppgd+lpa", "RACC", published={"column": "↑ RACC (%) | Seen"}),
            column("T", "minutes", **MINUTES, digits=0, published={"column": "↓ T (mins)"}),
            *(accuracy(label, attack, "each attack", published=None) for label, attack in UNSEEN.items()),
        ],
        published={"item": "table2", "row": "{data} | {method}"},
        options={"baseline": "Full PAT (Fast-LPA)"},
    ),
    "table3": ItemSpec(
        kind="table",
        title="Fast adversarial training with adversarial coresets (Table 3)",
        caption="FGSM with a random start, 50 % of CIFAR-10; PGD-50-10 at 8/255. S_avg is T over the 60 epochs of full training, as the paper's numbers have it; coresets train for 45. Random subsets, and selection within each class, are ours.",
        base=CIFAR10, suite="linf",
        rows=[*product(method=["fat", "fat_craig", "fat_gradmatch"]), *product(method=OURS_FAT, ours=True)],
        columns=[
            ACC,
            accuracy("RACC", "pgd50_10", published={"column": "↑ RACC (%)"}),
            column("S_avg", "minutes_per_epoch", unit="min/epoch", digits=4, better="low", reference="fat", published={"column": "↓ S_avg (min/epoch)"}),
            column("T", "minutes", **MINUTES, digits=3, published={"column": "↓ T (min)"}),
        ],
        published={"item": "table3", "row": "{method}"},
        options={"baseline": "Fast Adv. Training"},
    ),
    "figure2": ItemSpec(
        kind="figure", seeds={"demo": 3, "lite": 1},  # the seeds of Tables 1 and 3
        title="Robust accuracy against the attack's radius (Figure 2)",
        caption="PGD-50, trained at 8/255 by PGD, by PGD on GRAD-MATCH's coresets, and by FGSM (Fast AT). The paper's curves are only in its picture; its radii are not known, ours are.",
        base=CIFAR10, suite="radii",
        rows=[{"eps": 0, "metric": "clean"}, *({"eps": eps, "metric": f"eps{eps}"} for eps in (2, 4, 6, 8, 10, 12, 16))],
        columns=product(method=["linf", "linf_gradmatch", "fat"], unit="%", better="high"),
        options={"plot": "lines", "x": "eps", "x_label": "attack radius at the paper's scale (1/255)", "y_label": "robust accuracy (%)"},
    ),
    "figure3": ItemSpec(
        kind="figure", seeds={"demo": 1, "lite": 1},
        title="Relative robust error against speed-up, TRADES (Figure 3)",
        caption="The share of full training's robust accuracy that is lost (assumed: the paper gives no formula). GRAD-MATCH against random subsets of the same size, and warm starts of other lengths at 50 %. The paper's subset sizes and warm starts are only in its picture; ours stand at the points: examples kept (%), and kappa of the warm start, the share of a run's cost that it is.",
        base=CIFAR10, suite="trades",
        rows=[
            *(row for size in (10, 30, 50, 70) for row in product(series="size", size=size, method=TRADES_SUBSETS, settings={"fraction": size / 100})),
            *({"series": "warm start", "warm": kappa, "method": "trades_gradmatch", "settings": {"kappa": kappa}} for kappa in (0.2, 0.4, 0.6, 0.8)),
        ],
        columns=[
            speedup("speed-up", "trades"),
            column("relative robust error", "pgd50_20", unit="%", better="low", reference="trades"),
        ],
        options={"plot": "scatter", "x": "speed-up", "y": "relative robust error", "series": "method", "panel": "series", "label": ["size", "warm"], "join": True},
    ),
    "gradient_error": ItemSpec(
        kind="figure", seeds={"demo": 3, "lite": 1},  # the seeds of Table 1
        title="The gradient of a coreset against that of all examples (equation 6)",
        caption="Ours. Networks of full PGD training after a tenth, a half and all of the epochs choose among their training images once, by the gradients of the last layer (one selector: of all layers). Cosine of the subset's weighted gradient to the full one, and the length of their difference over that of the full one; a random subset has equal weights, scaled to the whole. The lowest row: the same cosine for the gradients of all layers.",
        base=CIFAR10 | {"method": "linf"}, suite="gradients",
        rows=[
            row for k, trained in enumerate(("a tenth of the epochs", "half of the epochs", "all epochs"), 1)
            for row in product(number=["cosine", "error", "cosine_all"], trained=trained, snapshot=k, size=[10, 30, 50])
        ],
        columns=product(selector=list(SELECTORS), metric="gradients.{selector}_{size}_{number}", unit="", digits=3),
        options={"plot": "lines", "x": "size", "x_label": "examples kept (%)", "series": "selector", "panel": ["number", "trained"]},
    ),
    "redundancy": ItemSpec(
        kind="table", seeds={"demo": 5},
        title="Where does choosing beat chance?",
        caption="Ours, on digits as they come with the package. About 64 training images are kept, chosen four times in a training of 30 epochs by PGD-5 without warm start: by whole batches of 16, as the paper chooses, or within each class. Near-copies: 600 images, of which 500 are 25 digits 20 times each under noise of up to 8/255. Long tail: 198 images, 58 of class 0 to 3 of class 9. Wrong labels: 240 of 600. Distinct: originals among the 64 of the last choice. Planted: how many of the 64 are of the 100 that are there once (near-copies), of the five rarest classes (long tail), or wrongly labelled.",
        base={"model": "resnet18"}, suite="linf",
        rows=[
            *product(data=["digits-copies", "digits-noise"], method=FEW),
            *product(data="digits-tail", method=FEW, settings={"fraction": 0.3232}),
        ],
        columns=[
            *OWN,
            column("images", "history.kept", "kept", unit="images", digits=1),
            column("distinct", "history.kept_distinct", "kept", unit="images", digits=1),
            column("planted", "history.kept_planted", "kept", unit="images", digits=1),
        ],
    ),
    "sweeps": ItemSpec(
        kind="table",
        title="Warm start, period, granularity and layers, one change at a time",
        caption="Ours, on ℓ_∞-PGD with GRAD-MATCH as in Table 1: κ = 0.5, T = 20, whole batches, gradients of the last layer. Without warm start all epochs are on the coreset, at the same cost.",
        base=CIFAR10, suite="linf",
        rows=[
            *product(series="as in Table 1", method=THREE),
            *product(series="no warm start", method=THREE, settings={"kappa": 0}),
            *({"series": f"T = {period}", "method": "linf_gradmatch", "settings": {"period": period}} for period in (10, 40, 60)),
            *product(series="granularity", method=["linf_gradmatch_class", "linf_gradmatch_example", "linf_craig_class", "linf_craig_example"]),
            {"series": "gradients of all layers", "method": "linf_gradmatch_all_layers"},
        ],
        columns=OWN,
    ),
    "autopsy": ItemSpec(
        kind="figure",
        title="What the choice gains in Fast AT, and what the authors' code does otherwise",
        caption="Ours, on Table 3. Points of accuracy, each training less the one it is set against, with the same seed. The first four: what choosing gains over random subsets of the same cost. Then one change of the authors' code at a time, against the method without it: CRAIG trains on batches that it did not score; chosen batches stay whole, so that their weights cancel; the solver of GRAD-MATCH stops early and random examples fill up; epochs that train nothing while the learning rate goes on; gradients in training mode; TRADES on all data, whose BatchNorm stays in evaluation mode with the statistics of an untrained network. What the paper prints stands in Table 3. The replicated coresets are of an earlier version, as the foot of Table 3 says.",
        base=CIFAR10, suite="linf", seeds={"cpu": 3, "lite": 1},
        rows=[{"method": method, "label": label} for method, (_, label) in AUTOPSY.items()],
        columns=[
            column("clean", "clean", unit="points", better="high", reference=AGAINST, difference=True),
            column("PGD-50-10", "pgd50_10", unit="points", better="high", reference=AGAINST, difference=True),
        ],
        options={"plot": "bars", "group": "row_label", "series": "column_label", "x_label": "", "y_label": "points"},
    ),
    "variants": ItemSpec(
        kind="table",
        title="What the authors' code does otherwise, one change at a time",
        caption="Ours. Batches kept whole: the weights cancel inside each mini-batch. Early stop: the authors' solver stops and fills up with random examples of weight 1. Idle gap: epochs that train nothing while the learning rate goes on. Training mode: BatchNorm normalises by the batch when gradients are taken. Clean gradients, and random subsets, are ours. The cost is the same in all.",
        base=CIFAR10, suite="linf",
        rows=product(method=["linf_craig", "linf_craig_whole", "linf_gradmatch", "linf_gradmatch_whole", "linf_gradmatch_published", "linf_gradmatch_idle", "linf_gradmatch_train_mode", "linf_gradmatch_clean", "linf_random"]),
        columns=OWN,
    ),
}
# fmt: on

PAPER = Paper(
    title="l_inf-Robustness and Beyond: Unleashing Efficient Adversarial Training",
    source="ECCV 2022",
    seeds=5,  # caption of Table 1
    labels=LABELS,
    spec=spec,
    suites=SUITES,
    items=ITEMS,
    methods=METHODS,
    choices=choices,
    scales=SCALES,
)
