"""Get Fooled for the Right Reason: training that matches an adversarially trained teacher's saliency, with a curriculum.

Every value is the paper's, or (marked "IGAM", "Madry", ...) from the public code that the paper builds on or cites, or is
``assumed(value, reason)``. The appendix (TinyImageNet, Tables 10 to 12, single k) is not in our text of the paper. The authors
published no training code, and their code for C&W and AutoAttack is not public.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from leanat.experiments.metrics import accuracy, column
from leanat.experiments.paper import Cell, Choice, ItemSpec, Paper, product
from leanat.experiments.spec import Assumed, assumed, part, upstream
from leanat.papers.saliency.scales import SCALES


def unsaid(value: Any, source: str) -> Assumed:
    """A value that is not in the paper, with its source."""
    return assumed(value, f"not in the paper; {source}")


def linear(lr: float, lr_end: Any) -> dict[str, Any]:
    return part("linear", lr=lr, lr_end=lr_end)


def step_decay(lr: float, *drops: int) -> dict[str, Any]:
    return part("steps", lr=lr, drops=list(drops), factor=0.1)


# -- the paper's hyper-parameters

BALL = part("linf", eps=8 / 255)  # section 5
AUGMENT = unsaid([part("crop", pad=2), "flip"], "as in the code of Madry et al. and IGAM")
AUGMENT_64 = unsaid([part("crop", pad=2), "flip"], "as in IGAM's code for TinyImageNet")
EACH_IMAGE = unsaid("image", "the authors' evaluation code subtracts each image's mean and divides by its l2 norm")
MADRYS_IMAGE = unsaid(
    "image",
    "as the students'; the code of Madry et al. and of Free AT divides by the deviation in place of the norm: 55 times as much at 32 x 32 x 3 values, beside which BatchNorm's epsilon of 0.001 is small",
)
RECIPE = {
    "batch": unsaid(32, "as in IGAM's code for CIFAR-10"),
    "momentum": unsaid(0.9, "as in IGAM's code"),
    "nesterov": unsaid(False, "as in IGAM's code"),
    "weight_decay": unsaid(0.0002, "as in IGAM's code"),
    "decays": unsaid("kernels", "as in IGAM's code, where biases and BatchNorm have no weight decay"),
    "clip_value": None,
    "drop_last": unsaid(False, "unlike Madry's code, which leaves out what fills no batch"),
    "precision": unsaid("fp32", "double back-propagation is done in it"),
}
SALIENCY = {
    "teacher": upstream("at"),  # section 6: PGD-7, the same data and network; with the run's own seed
    "beta": 2,  # section 5: "we keep beta = 2 throughout the training"
    "of": assumed(
        "probability",
        "the paper's Psi is the logit in equations 5 to 7 and a 'prediction score' in 8 and 9; IGAM's code takes the probability",
    ),
    "statistics": unsaid("running", "IGAM's code runs the teacher with the statistics of the batch"),
    "discriminator": {
        "layers": unsaid(5, "as in IGAM's code"),
        "width": unsaid(16, "as in IGAM's code"),
        "every": unsaid(5, "as in IGAM's code, steps of the student"),
        "momentum": unsaid(0.9, "as in IGAM's code"),
        "weight_decay": unsaid(0.0002, "as in IGAM's code"),
    },
}
# Gamma of the first and of the second phase (section 5), in the paper's units; the code converts them to inputs in [0, 1]
# and batch means (weight_of_difference).
OF_A_CHECKPOINT = assumed(
    50 * 8 / 32 / 4,
    "in the appendix, which is not in the text; the name of a checkpoint in the authors' code has 50, with batches of 8 images of 64 x 64, here in the units of the others; its noise of pixels, 100 steps without the term and 180,000 steps are not taken",
)
GAMMA = {"cifar10": (10, 20), "cifar100": (10, 15), "tiny-imagenet": (OF_A_CHECKPOINT, OF_A_CHECKPOINT)}

# The second phase: 15 epochs for each k, with learning rates from 0.001 to 0.0001 over 75 epochs. Section 5: "the best model is
# achieved after training with k = 50 and k = 70", which the paper chose on test data. A stop after k = 70 is a stop after 45
# epochs of the same straight line.
KS = [90, 80, 70, 60, 50]
FIRST_K = "section 4.1 says 'top 90 %' first and then 'starting from 100'; the figures call k = 100 the first phase"
SCHEDULES = {
    "cifar10": {"ks": assumed(KS, FIRST_K), "epochs": 75, "lr_end": 0.0001, "snapshots": [15, 30, 45, 60, 75]},
    "cifar100": {
        "ks": assumed(KS[:3], "the best is that of k = 70, and k begins at 90 as on CIFAR-10"),
        "epochs": assumed(45, "the best is that of k = 70: stopped after it"),
        "lr_end": assumed(0.00046, "45 of 75 epochs down the line from 0.001 to 0.0001"),
        "snapshots": [15, 30, 45],
    },
    "tiny-imagenet": {"ks": assumed(KS, "as CIFAR-10"), "epochs": assumed(75, "as CIFAR-10"), "lr_end": 0.0001},
    "single k": {  # section 6, details in the appendix: no curriculum, only the best k
        "ks": [50],
        "epochs_each": 75,
        "epochs": assumed(75, "as many epochs without a curriculum as with it; the appendix is not in the text"),
        "lr_end": 0.0001,
    },
}
SIGN = assumed(
    "literal",
    "equation 18 matches the gradient of the cross-entropy to +J_T although it points the other way; 'corrected' is a row of ours",
)
UNIFORMLY = "'uniformly' is taken as a straight line over the phase"

# -- the methods: each a function of the cell


def training(
    cell: Cell, method: Any, recipe: Any, standardise: Assumed = EACH_IMAGE, augment: Assumed = AUGMENT
) -> dict[str, Any]:
    """A spec: the values that all trainings share, with those of one training."""
    # If each image is standardised, both alignments are 0 by construction (Euler), so other networks are trained for these items.
    if cell["item"] in ("alignment", "bound"):
        standardise = assumed(
            "channel",
            "a network that standardises each image has alignment 0 by construction: its logits do not change with the image's scale",
        )
    return {
        "data": {"augment": AUGMENT_64 if cell["data"] == "tiny-imagenet" else augment, "validation": None},
        "model": {"standardise": standardise},
        "method": {"objective": part("cross_entropy"), "attack": "clean", "selector": "everything"} | method,
        "recipe": RECIPE | recipe,
    }


def student(cell: Cell, terms: Mapping[str, Any], epochs: Any, lr: Assumed) -> dict[str, Any]:
    """Clean training with the alignment losses; ``terms``: the fields that differ from ``SALIENCY``."""
    loss = part("saliency", **(SALIENCY | terms))
    return training(cell, {"objective": loss}, {"epochs": epochs, "lr": lr})


def phase1(cell: Cell, **terms: Any) -> dict[str, Any]:
    """Section 5: 100 epochs, "learning rate uniformly decays from 0.1 to 0.001"."""
    return student(cell, {"gamma": GAMMA[cell["data"]][0]} | terms, 100, assumed(linear(0.1, 0.001), UNIFORMLY))


def phase2(cell: Cell, start: str = "phase1", schedule: str | None = None, **terms: Any) -> dict[str, Any]:
    """The second phase. ``start``: the run that it starts from; ``first_phase`` in ``terms``: the run whose f_disc is trained
    further (equations 14, 16).
    """
    planned = SCHEDULES[schedule or cell["data"]]
    own = {"gamma": GAMMA[cell["data"]][1], "first_phase": upstream("phase1"), "sign": SIGN}
    own |= {"ks": planned["ks"], "epochs_each": planned.get("epochs_each", 15)}
    lr = assumed(linear(0.001, planned["lr_end"]), UNIFORMLY)
    run_spec = student(cell, own | terms, planned["epochs"], lr) | {
        "init": {"network": upstream(start), "frozen": False}
    }
    if "snapshots" in planned:
        run_spec["snapshots"] = planned["snapshots"]
    return run_spec


def igam(cell: Cell, teacher: str = "teacher_a") -> dict[str, Any]:
    """Chan et al. 2020, on which the paper builds, from TinyImageNet to CIFAR-10, as in its code."""
    terms = {
        "discriminator": SALIENCY["discriminator"]
        | {
            name: unsaid(value, "IGAM's code for TinyImageNet to CIFAR-10")
            for name, value in (("layers", 4), ("width", 8))
        },
        "teacher": upstream(teacher),
        "beta": unsaid(2.5, "IGAM's code has 5 times a mean over both terms, which is half of ours"),
        "gamma": unsaid(10, "IGAM's code"),
        "warmup_epochs": unsaid(179, "IGAM's code: cross-entropy alone for 280,000 of 320,000 steps of 32"),
        "statistics": unsaid("batch", "IGAM's code"),
    }
    lr = unsaid(step_decay(0.1, 102, 154), "IGAM's code: steps 160,000 and 240,000")
    return student(cell, terms, unsaid(205, "IGAM's code: 320,000 steps of 32"), lr)


def standard(cell: Cell) -> dict[str, Any]:
    """Ours: claim 17 compares with natural training, for which the paper prints no number."""
    same = "as the first phase"
    return training(cell, {}, {"epochs": unsaid(100, same), "lr": unsaid(linear(0.1, 0.001), same)})


def teacher(cell: Cell) -> dict[str, Any]:
    """AT: PGD-7 of Madry et al., a row of Tables 1 and 2, and the teacher."""
    madry, igam = "Madry's code", "IGAM's script for TinyImageNet"
    attack = part("pgd", threat=BALL, steps=7, step_size=unsaid(2 / 255, madry), start=unsaid("uniform", madry))
    recipe = {
        "epochs": unsaid(205, f"{madry}: 80,000 steps of 128"),
        "batch": unsaid(128, madry),
        "lr": unsaid(step_decay(0.1, 102, 154), f"{madry}: steps 40,000 and 60,000"),
    }
    if cell["data"] == "tiny-imagenet":
        recipe = {
            "epochs": unsaid(51, f"{igam}: 320,000 steps of 16"),
            "batch": unsaid(16, igam),
            "lr": unsaid(step_decay(0.1, 26, 38), f"{igam}: steps 160,000 and 240,000"),
        }
    return training(cell, {"attack": attack}, recipe, EACH_IMAGE if cell["data"] == "tiny-imagenet" else MADRYS_IMAGE)


def teacher_a(cell: Cell) -> dict[str, Any]:
    """Tables 3 and 4: adversarial training on other data, then fine-tuning on clean data.

    Teacher A: from TinyImageNet to CIFAR-10 (section 6); C: from CIFAR-10 to CIFAR-100.
    """
    elsewhere = "cifar10" if cell["data"] == "cifar100" else "tiny-imagenet"
    frozen = assumed(
        True,
        "'natural finetuned' does not say which layers; IGAM trains the logits alone. Our new head has a hidden layer",
    )
    lr = assumed(linear(0.01, 0.0001), "not in the paper")
    longer = "not in the paper; IGAM's code has 4,700 steps of 64 by Adam, 6 epochs"
    run_spec = training(cell, {}, {"epochs": assumed(10, longer), "lr": lr})
    return run_spec | {"init": {"network": upstream("at", data=elsewhere), "frozen": frozen}}


# TRADES, MART and AWP on WRN34-10, FAT on WRN32-10, as in their authors' code (for AWP its code for AT).
ALL_FOUR = "the code of TRADES, MART, AWP, FAT"
OF_ALL_FOUR = {"batch": unsaid(128, ALL_FOUR), "decays": unsaid("all", ALL_FOUR)}
AFFINE = unsaid("channel", "the code of TRADES, MART, AWP, FAT has none or this fixed affine layer")
CROP4 = unsaid([part("crop", pad=4), "flip"], ALL_FOUR)


def as_all_four(cell: Cell, method: Any, recipe: Any) -> dict[str, Any]:
    """The common part of the code of TRADES, MART, AWP and FAT. Their epochs count from 1, the drops here from 0."""
    return training(cell, method, OF_ALL_FOUR | recipe, AFFINE, CROP4)


def trades(cell: Cell) -> dict[str, Any]:
    code = "TRADES's code"
    method = {"objective": part("trades", beta=unsaid(6, code)), "attack": pgd_of_trades("kl")}
    recipe = {"epochs": unsaid(76, code), "lr": unsaid(step_decay(0.1, 74), code)}
    return as_all_four(cell, method, recipe)


def mart(cell: Cell) -> dict[str, Any]:
    code = "MART's code for WRN34-10"
    method = {"objective": part("mart", beta=unsaid(6, code)), "attack": pgd_of_trades("ce")}
    recipe = {"epochs": unsaid(90, code), "lr": unsaid(step_decay(0.1, 74, 89), code)}
    return as_all_four(cell, method, recipe | {"weight_decay": unsaid(0.0007, code)})


def pgd_of_trades(loss: str) -> dict[str, Any]:
    both, step = "TRADES's and MART's code", unsaid(2 / 255, "TRADES's code has 0.007")
    start = unsaid("gaussian", f"{both}, which clips it to [0, 1] after the first step alone; here at once")
    return part("pgd", threat=BALL, steps=unsaid(10, both), step_size=step, start=start, loss=loss)


def awp(cell: Cell) -> dict[str, Any]:
    code, gamma = "AWP's code", unsaid(0.01, "the code of AWP for AT has 0.01, its paper 0.005")
    term = part("awp", objective=part("cross_entropy"), gamma=gamma)
    step, start = unsaid(2 / 255, code), unsaid("uniform", code)
    attack = part("pgd", threat=BALL, steps=unsaid(10, code), step_size=step, start=start)
    recipe = {"epochs": unsaid(200, code), "lr": unsaid(step_decay(0.1, 100, 150), code)}
    recipe |= {"weight_decay": unsaid(0.0005, code)}
    return as_all_four(cell, {"objective": term, "attack": attack}, recipe)


def fat(cell: Cell) -> dict[str, Any]:
    code = "FAT's code"
    attack = part(
        "fat",
        threat=BALL,
        steps=unsaid(10, code),
        step_size=unsaid(2 / 255, "FAT's code has 0.007"),
        patience=unsaid(0, "FAT's code: tau 0, 1, 2 from epochs 0, 50, 90"),
        bounds=unsaid([50, 90], code),
        omega=unsaid(0.001, code),
    )
    lr = unsaid(step_decay(0.1, 59, 89), "FAT's code, which divides by 2 once more at epoch 110")
    return as_all_four(cell, {"attack": attack}, {"epochs": unsaid(120, code), "lr": lr})


def free(cell: Cell) -> dict[str, Any]:
    """m = 8, the best on CIFAR-10 in Shafahi et al."""
    attack = part("free", threat=BALL, step_size=unsaid(8 / 255, "Shafahi et al., Algorithm 1: eps"))
    method = {"attack": attack, "replays": unsaid(8, "Shafahi et al.'s best on CIFAR-10")}
    lr = unsaid(step_decay(0.1, 13, 19), "Madry's, in proportion")
    recipe = {"epochs": unsaid(26, "Madry's 205 by 8 replays"), "batch": assumed(128, "not in the paper"), "lr": lr}
    return training(cell, method, recipe, MADRYS_IMAGE)


WITHOUT = assumed(0, "Table 9 does not say whether the term is left out of both phases or of the second alone")
NEW = assumed(None, "from the teacher there is no first phase that has trained f_disc: it is new")
# Not run, only their numbers are cited: FNT, LAT, GAIRAT, CAT18, Dynamic AT, ATES, SADS, JARN-AT1, IAAT, and IGAM on CIFAR-100.
METHODS = {
    "standard": standard, "at": teacher, "teacher_a": teacher_a,
    "trades": trades, "mart": mart, "awp": awp, "fat": fat, "free": free,
    "phase1": phase1,
    "phase2": phase2,
    "phase2_remove": partial(phase2, align=False, first_phase=None),  # Tables 5 and 6
    "phase2_from_at": partial(phase2, start="at", first_phase=NEW),  # Table 8
    "phase1_beta0": partial(phase1, beta=WITHOUT),  # Table 9
    "phase1_gamma0": partial(phase1, gamma=WITHOUT),
    "phase2_beta0": partial(phase2, start="phase1_beta0", beta=0, first_phase=None),
    "phase2_gamma0": partial(phase2, start="phase1_gamma0", gamma=0, first_phase=upstream("phase1_gamma0")),
    "phase2_corrected": partial(phase2, sign="corrected"),  # ours
    "phase2_single": partial(phase2, schedule="single k"),
    "phase1_a": partial(phase1, teacher=upstream("teacher_a")),
    "phase2_a": partial(phase2, start="phase1_a", teacher=upstream("teacher_a"), first_phase=upstream("phase1_a")),
    "igam": igam,
    "igam_b": partial(igam, teacher="at"),  # ours
    # Ours: with the paper's beta and gamma also at scales that change them for the other methods.
    "phase1_own": phase1,
    "phase2_own": partial(phase2, start="phase1_own", first_phase=upstream("phase1_own")),
}  # fmt: skip


def spec(cell: Cell, *, gamma: float | None = None, schedule: str | None = None) -> dict[str, Any]:
    """The spec of a run. ``gamma``, ``schedule`` (a key of ``SCHEDULES``): of the second phase; default: those of the data."""
    changed = {"gamma": gamma, "schedule": schedule}
    return METHODS[cell["method"]](cell, **{k: v for k, v in changed.items() if v is not None})


def choices(cell: Cell) -> Iterable[Choice]:
    """What the paper leaves open, apart from the assumed values in specs."""
    method = cell.get("method", "")
    if method.startswith(("phase1", "phase2", "igam")):
        yield (
            "L_robust",
            "the sum of both terms of equation 11",
            "as printed; IGAM's code has half of it, a mean over both",
        )
        yield (
            "units of gamma",
            "||J_S - J_T||^2 of pixels in [0, 255], summed over a batch of 32 images of 3 x 32 x 32",
            "not in the paper; as IGAM's code adds it to the mean cross-entropy. For images of another size the norm is "
            "scaled by their number of values",
        )
        yield (
            "maps that a discriminator learns from",
            "those of the step, from before the student's update",
            "not in the paper; IGAM's code computes them anew after it",
        )
        yield (
            "start of the discriminators",
            "He's normal initialisation, biases 0; both kinds of maps in one batch, BatchNorm with its statistics",
            "the initialisation is ours; the rest is as in IGAM's code",
        )
        yield (
            "what a discriminator is",
            "4 x 4 convolutions of stride 2 with BatchNorm; it reads each map at mean 0 and l2 norm 1, and learns at the "
            "student's learning rate",
            "not in the paper; as IGAM's code. So L_robust cannot see the size of a map, which equations 11 and 17 give it: "
            "L_diff alone does",
        )
    if method.startswith(("phase1", "phase2")) and cell["data"] != "tiny-imagenet":
        yield (
            "noise of pixels in training",
            "none",
            "not in the paper; IGAM's script from CIFAR-10 to CIFAR-100, whose beta and gamma are the paper's, adds noise "
            "from -8/255 to 8/255 to the images of student and teacher, that from TinyImageNet to CIFAR-10 none",
        )
    if method.startswith("phase2"):
        yield (
            "top k % of the pixels",
            "pixels ranked by |J_T| summed over channels; the others 0 in all channels, what is kept not rescaled",
            "the paper says 'top k % salient pixels' alone",
        )
        yield (
            "momentum at the start of the second phase",
            "0, of network and discriminators",
            "the paper says that training goes on, of weights alone",
        )
        yield (
            "gradient of equation 15",
            "of each image's own cross-entropy",
            "the equation has that of the mean over images, which is smaller by their number; the authors' attack code takes that of the sum",
        )
        yield "f_curr-disc", "layers, optimiser and steps as f_disc", "not in the paper"
    if method in ("teacher_a", "phase1_a", "phase2_a") and cell["data"] == "cifar10":
        yield (
            "teacher A",
            "trained on images of 64 x 64, fine-tuned and read on CIFAR-10's of 32 x 32",
            "the paper does not say; IGAM's code enlarges CIFAR's to 64 x 64 for it",
        )
    if method in ("at", "teacher_a") or method.startswith(("phase1", "phase2")):
        yield (
            "mode of the network that PGD-7 attacks in training (AT, the teacher)",
            "evaluation",
            "not in the paper; Madry's and IGAM's code attacks in training mode, where each of the 7 passes takes the "
            "statistics of the batch and moves BatchNorm's averages",
        )
    if cell.get("item") in ("alignment", "bound"):
        yield (
            "j* of equations 5 to 7",
            "the class whose linearised boundary is nearest",
            "'the minimizer of Eqn 6', below equation 7; above it g is of 'the top two logits', which may be another class's",
        )
    if method == "free":
        yield (
            "first replay of a batch in Free AT",
            "of images clipped to [0, 1]",
            "the code of Shafahi et al. clips the images after a step alone, so that the perturbation of the batch before "
            "may leave the range once",
        )
    if method == "awp":
        yield (
            "mode of the network that AWP attacks in training",
            "evaluation; one pass of a step moves BatchNorm's averages, that of the perturbed weights",
            "AWP's code attacks in training mode and passes the clean images through the restored weights after the "
            "update: each of these passes moves the averages",
        )
        yield (
            "weight decay of AWP",
            "of the weights w alone",
            "AWP's code takes them back from w + v after the update, so that it decays w + v",
        )
    if cell.get("model") == "wrn32_10":
        yield (
            "WRN32-10",
            "strided convolutions padded by a pixel on every side; its head at the start PyTorch's",
            "in Madry's and IGAM's code TensorFlow pads right and below alone, which shifts what is read by a pixel, and the head's weights are from a range 1.7 times as wide, its biases 0",
        )
    if method == "igam":
        yield (
            "IGAM's teacher",
            "sees images of CIFAR-10's size, and is fine-tuned under a head with a hidden layer",
            "IGAM's code enlarges them to 64 x 64 for it and trains the logits alone",
        )
    if cell.get("item") != "time":
        yield (
            "BatchNorm in evaluation",
            "running statistics",
            "the authors' evaluation code takes those of the attacked batch for its own network, see figures/saliency/batchnorm",
        )


# -- attacks, with radius 8/255 (section 5)


def pgd(count: Any, **more: Any) -> dict[str, Any]:
    """PGD with steps of 2/255 from a random start."""
    code = "the authors' evaluation code"
    step, start = unsaid(2 / 255, code), unsaid("uniform", code)
    return part("pgd", threat=BALL, steps=count, step_size=step, start=start, **more)


CLEAN = {"attack": "clean"}
FGSM = part("pgd", threat=BALL, steps=1, step_size=8 / 255, start=unsaid("none", "the authors' evaluation code"))
FAST = {"fgsm": {"attack": FGSM}} | {f"pgd{count}": {"attack": pgd(count)} for count in (5, 10, 20)}
MARGIN = assumed(
    "margin",
    "the paper's 'C&W' is taken as PGD on the margin between the true class's logit and the largest other, as in Madry's and FAT's code; its own code for it is not public",
)
IMAGES = assumed(500, "ours: of how many test images the means are")
RESTARTS = assumed(10, "'random restarts' without a number")
CURRICULUM = {"natural": CLEAN, "fgsm": FAST["fgsm"], "pgd20": FAST["pgd20"]}
BY_BATCH = {f"{name}_batch": entry | {"statistics": "batch"} for name, entry in ({"clean": CLEAN} | FAST).items()}
SUITES = {
    "main": FAST
    | {
        "cw": {"attack": pgd(unsaid(30, "as in FAT's code, where a step is 0.031/4"), loss=MARGIN)},
        "autoattack": {"attack": part("autoattack", threat=BALL)},
        "alarm": {"masking": {"threat": BALL, "limit": 256, "queries": 500}},  # ours
    },
    "ablations": FAST,  # Tables 3 to 6, 8, 9, figures
    "curriculum": CURRICULUM,  # Figures 2, 3, 5, also on snapshots
    # Figures 4 and 6; ours: localisation, alignment, bound
    "maps": {"maps": {"measure": part("maps", examples=IMAGES, pictures=4, fgsm=FGSM, pgd=pgd(20))}},
    "losses": {"terms": {"measure": part("terms", teacher=upstream("at"))}},  # Table 7
    # Ours, in addition to main: BatchNorm with the statistics of 100 adversarial test images, as in the authors' evaluation code
    "authors": BY_BATCH,
    # Ours, the autopsy: both conventions of BatchNorm side by side
    "conventions": CURRICULUM | {name: BY_BATCH[name] for name in ("clean_batch", "fgsm_batch", "pgd20_batch")},
    # The text of section 5: more steps, restarts
    "strength": {f"pgd{count}": {"attack": pgd(count)} for count in (20, 50, 70, 100)}
    | {"pgd20_10": {"attack": pgd(20, restarts=RESTARTS)}},
}

# -- rows and columns

LABELS = {
    "wrn32_10": "WRN32-10", "wrn34_10": "WRN34-10",
    "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "tiny-imagenet": "TinyImageNet",
    "standard": "Standard training", "at": "AT (PGD-7), the teacher", "free": "AT-Free",
    "phase1": "OURS after phase 1", "phase2": "OURS",
    "phase2_corrected": "OURS, sign of equation 18 corrected", "phase2_single": "OURS, k = 50 alone",
    "igam": "IGAM[9]", "igam_b": "IGAM with the teacher of OURS",
    "natural": "Clean", "fgsm": "FGSM", "pgd20": "PGD-20",
    "Iterative Methods | NO": "Iterative methods, no curriculum",
    "Iterative Methods | YES": "Iterative methods, curriculum",
    "Non-Iterative Methods | NO": "Non-iterative methods, no curriculum",
    "Non-Iterative Methods | YES": "Non-iterative methods, curriculum",
}  # fmt: skip
ATTACKS = {  # by their names in the paper's tables
    "Clean": "clean", "Nat.": "clean", "Natural": "clean", "FGSM": "fgsm", "PGD5": "pgd5", "PGD-5": "pgd5",
    "PGD10": "pgd10", "PGD-10": "pgd10", "PGD20": "pgd20", "PGD-20": "pgd20", "PGD-50": "pgd50", "PGD-70": "pgd70",
    "PGD-100": "pgd100", "C&W": "cw", "AA": "autoattack",
}  # fmt: skip
FIVE = ("Clean", "FGSM", "PGD-5", "PGD-10", "PGD-20")
FIVE_OF_ABLATIONS = ("Nat.", "FGSM", "PGD5", "PGD10", "PGD20")  # Tables 3 to 6
TABLE_1 = {  # *: WRN34-10; None: only cited by the paper
    "Iterative Methods | NO": {
        "AT(PGD-7)[3]": "at", "FNT[7]": None, "LAT[8]": None, "TRADES[27]*": "trades", "GAIRAT[16]": None,
        "AWP-AT[13]*": "awp", "MART[14]*": "mart",
    },
    "Iterative Methods | YES": {"CAT18[11]": None, "Dynamic AT[12]": None, "FAT[17]": "fat", "ATES[15]*": None},
    "Non-Iterative Methods | NO": {"SADS[29] ⁺": None, "JARN-AT1[10]": None, "IGAM[9]": "igam", "AT-Free[18]": "free"},
    "Non-Iterative Methods | YES": {"OURS": "phase2"},
}  # fmt: skip
TABLE_2 = {
    "Iterative Methods | NO": {
        "AT(PGD-7)[3]": "at", "FNT[7]": None, "LAT[8]": None, "TRADES[27]*": "trades", "IAAT [20]": None,
    },
    "Iterative Methods | YES": {"CAT18[11]*": None, "Dynamic AT[12]*": None, "ATES[15]*": None},
    "Non-Iterative Methods | NO": {"IGAM[9]": None, "AT-Free[18]": "free"},
    "Non-Iterative Methods | YES": {"OURS": "phase2"},
}  # fmt: skip


def row(label: str, method: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {"group": group, "label": label, "method": method} | more


def printed_row(label: str, method: str, group: str = "", name: str | None = None) -> dict[str, Any]:
    """A row of the paper's table, whose name there is ``name``."""
    return row(label, method, group, published={"row": f"{group} | {name or label}" if group else label})


def ours(method: str, label: str | None = None) -> dict[str, Any]:
    """A row that is not in the paper's table."""
    return row(label or LABELS[method], method, "Our references", ours=True)


def kinds(table: Mapping[str, Mapping[str, str | None]], *references: str) -> list[dict[str, Any]]:
    """Rows of Tables 1 and 2, whose groups are kinds of methods that are compared in one block; and our rows."""
    rows = []
    for group, methods in table.items():
        for label, method in methods.items():
            larger = {"model": "wrn34_10"} if label.endswith("*") else {}
            run = {"method": method} | larger if method else {"missing": "cited by the paper, not trained here"}
            rows.append({"group": group, "label": label} | run | {"published": {"row": f"{group} | {label}"}})
    return rows + [{"group": "Our references", "method": m, "published": None, "ours": True} for m in references]


def accuracies(*labels: str) -> list[dict[str, Any]]:
    return [accuracy(label, ATTACKS[label]) for label in labels]


def printed(*labels: str) -> list[dict[str, Any]]:
    """Accuracies that the paper prints under these names."""
    return [accuracy(label, ATTACKS[label], published={"column": label}) for label in labels]


def logged(term: str, name: str) -> list[dict[str, Any]]:
    """A term of the loss after the first and after the last epoch."""
    both = (("first", "@0"), ("last", ""))
    return [column(when, f"history.{name}{epoch}", f"{term}, logged", published=None) for when, epoch in both]


SIGNS = column("signs of masking", "masking", better="low", published=None)
PGD20_OF_BATCH = accuracy("PGD-20", "pgd20_batch", "batch statistics", suite="authors", published=None)
FOUR = product(method=["standard", "at", "phase1", "phase2"])
# In Figures 2, 3 and 5 the curriculum ends at k = 50 also on CIFAR-100, where k = 70 is the best.
GAMMAS = [
    {"data": data, "accuracy": attack, "gamma": gamma, "weight": f"γ = {gamma}"}
    | {"settings": {"gamma": gamma, "schedule": "cifar10"}}
    for data in ("cifar10", "cifar100")
    for gamma in (5, 10, 15, 20, 25)
    for attack in ("natural", "fgsm", "pgd20")
]
EVERY_K = [
    {"k": 100, "method": "phase1", "settings": None},
    *({"k": k, "snapshot": number} for number, k in enumerate(KS, start=1)),
]

# -- tables and figures

WRN = {"model": "wrn32_10"}
ON_CIFAR10, ON_CIFAR100 = WRN | {"data": "cifar10"}, WRN | {"data": "cifar100"}
ONCE = {"demo": 1}  # number of seeds
OF_CURRICULUM = {"base": WRN | {"method": "phase2"}, "suite": "curriculum", "metric": "{accuracy}"}
accuracy_table = partial(ItemSpec, kind="table", base=ON_CIFAR10, suite="ablations", digits=1)
maps_figure = partial(ItemSpec, kind="figure", base=ON_CIFAR10, suite="maps")
curriculum_figure = partial(ItemSpec, kind="figure", **OF_CURRICULUM, unit="%", better="high")
LINES = {"plot": "lines", "y_label": "accuracy (%)"}
OVER_K = LINES | {"x": "k", "x_label": "top k % of the teacher's saliency"}
OVER_GAMMA = LINES | {"x": "gamma", "x_label": "γ of the second phase, in the paper's units"}
BARS = {"plot": "bars", "group": "column_label", "series": "method"}


def teachers(elsewhere: str, first: str, here: str, second: str) -> list[dict[str, Any]]:
    """Rows of Tables 3 and 4: OURS with two teachers, which the paper calls ``first`` and ``second``, and the teachers."""
    fine_tuned = f"{first}: adversarially trained on {elsewhere}, fine-tuned clean"
    return [
        printed_row(fine_tuned, "phase2_a", "Teacher", first),
        printed_row(f"{second}: adversarially trained on {here}", "phase2", "Teacher", second),
        ours("teacher_a", f"Teacher {first} itself"),
        ours("at", f"Teacher {second} itself"),
        ours("standard"),
    ]


REMOVED_OR_KEPT = [  # Tables 5 and 6
    printed_row("Remove", "phase2_remove", "Align Loss"),
    printed_row("Keep", "phase2", "Align Loss"),
    ours("standard"),
]
UNDER_BOTH = [  # conventions of BatchNorm
    *(entry | {"group": "running statistics", "suite": "main", "published": None} for entry in accuracies(*FIVE)),
    *(
        entry | {"group": "batch statistics", "suite": "authors", "metric": f"{entry['metric']}_batch"}
        for entry in printed(*FIVE)
    ),
]

ITEMS = {
    "table1": accuracy_table(
        title="Robust accuracy on CIFAR-10 (Table 1)",
        caption="WRN32-10; *: WRN34-10, ⁺: WRN28-10. The paper's attacks have radius 8/255. Numbers in grey on rows without ours are those that the paper cites. Signs of masking: how many of the signs of gradient masking the alarm found. Batch statistics: BatchNorm with the statistics of 100 attacked test images, as the authors' code evaluates.",
        rows=kinds(TABLE_1, "standard", "phase1", "igam_b", "phase2_corrected"),
        columns=[*printed(*FIVE, "C&W", "AA"), SIGNS, PGD20_OF_BATCH],
        suite="main", published={"item": "table1"},
        one_block=True, options={"doubt": [["pgd20", "autoattack"], ["pgd20_batch", "pgd20"]]}),
    "table2": accuracy_table(
        title="Robust accuracy on CIFAR-100 (Table 2)",
        caption="WRN32-10; *: WRN34-10. The paper's attacks have radius 8/255. Numbers in grey on rows without ours are those that the paper cites.",
        rows=kinds(TABLE_2, "standard", "phase1"),
        columns=[*printed(*FIVE), PGD20_OF_BATCH],
        base=ON_CIFAR100, seeds=ONCE, published={"item": "table2"},
        one_block=True, options={"doubt": [["pgd20_batch", "pgd20"]]}),
    "table3": accuracy_table(
        title="Teachers on CIFAR-10 (Table 3)",
        caption="OURS under two teachers. Fine-tuning trains a new head on the frozen network.",
        rows=teachers("TinyImageNet", "A", "CIFAR-10", "B"), columns=printed(*FIVE_OF_ABLATIONS),
        seeds=ONCE, published={"item": "table3"}),
    "table4": accuracy_table(
        title="Teachers on CIFAR-100 (Table 4)",
        caption="OURS under two teachers. Fine-tuning trains a new head on the frozen network. The paper prints PGD10 of teacher D as 30.40 here, as 30.04 in Tables 2 and 6.",
        rows=teachers("CIFAR-10", "C", "CIFAR-100", "D"), columns=printed(*FIVE_OF_ABLATIONS),
        base=ON_CIFAR100, seeds=ONCE, published={"item": "table4"}),
    "table5": accuracy_table(
        title="Alignment losses in the second phase, CIFAR-10 (Table 5)",
        caption="With the alignment losses of the first phase removed from the second, or kept.",
        rows=REMOVED_OR_KEPT, columns=printed(*FIVE_OF_ABLATIONS), published={"item": "table5"}),
    "table6": accuracy_table(
        title="Alignment losses in the second phase, CIFAR-100 (Table 6)",
        caption="With the alignment losses of the first phase removed from the second, or kept.",
        rows=REMOVED_OR_KEPT, columns=printed(*FIVE_OF_ABLATIONS),
        base=ON_CIFAR100, seeds=ONCE, published={"item": "table6"}),
    "table7": ItemSpec(
        kind="table",
        title="Losses after the first phase, CIFAR-10 (Table 7)",
        caption="Measured on the training images as they are. Alignment loss: L_diff without γ in the units of the authors' code (pixels to 255, summed over a batch of 32); the paper does not say the units of its own, nor whether L_robust is in it. The teacher's is 0 by definition. Logged: the terms as they entered the training loss, weights included, means over the first and the last epoch; those of OURS are of its second phase.",
        rows=[printed_row("Our Model", "phase1"), printed_row("AT Model", "at"),
              ours("phase2", "OURS, after both phases"), ours("standard")],
        columns=[
            column("CE loss", "terms.ce", better="low", published={"column": "CE loss"}),
            column("Alignment loss", "terms.difference", digits=6, published={"column": "Alignment loss"}),
            *logged("L_CE", "loss_ce"), *logged("γ L_diff", "loss_align_diff"), *logged("β L_robust", "loss_align_robust")],
        base=ON_CIFAR10, suite="losses", digits=4, seeds=ONCE, published={"item": "table7"}),
    "table8": accuracy_table(
        title="Where the second phase starts, CIFAR-10 (Table 8)",
        caption="P1 ⟹ P2: the second phase from our model after the first one, or from the adversarially trained teacher.",
        rows=[printed_row("P1:OUR ⟹ P2:OUR", "phase2"), printed_row("P1:AT ⟹ P2:OUR", "phase2_from_at"),
              ours("phase1", "P1:OUR alone"), ours("at", "AT alone, the teacher"), ours("standard")],
        columns=printed("Nat.", "FGSM", "PGD-20"), published={"item": "table8"}),
    "table9": accuracy_table(
        title="The weights β and γ, CIFAR-10 (Table 9)",
        caption="A term without weight is left out of both phases (assumed); γ is that of the second phase. Where the foot says that β and γ are multiplied, this table shows only that both terms act, not which matters in the paper.",
        rows=[printed_row("β = 2 and γ = 20", "phase2"), printed_row("β = 0 and γ = 20", "phase2_beta0"),
              printed_row("β = 2 and γ = 0", "phase2_gamma0"), ours("standard")],
        columns=printed("Natural", "PGD20"), published={"item": "table9"}),
    "figure2": curriculum_figure(
        title="γ and the top k % of pixels in the second phase (Figure 2)",
        caption="After every k of one training; k = 100 is the model after the first phase. The paper's curves are only in its picture, and of its five values of γ only 20 and 15 are printed; ours are.",
        rows=GAMMAS, columns=EVERY_K, seeds={"demo": 1, "lite": 1},
        options=OVER_K | {"series": "weight", "panel": ["data", "accuracy"]}),
    "figure3": curriculum_figure(
        title="The curriculum, step by step (Figure 3)",
        caption="γ = 20 (CIFAR-10) and 15 (CIFAR-100). k = 100 is the model after the first phase. The paper says that PGD-20 is best at k = 50 and at k = 70; its bars are only in its picture.",
        rows=product(data=["cifar10", "cifar100"], accuracy=["natural", "pgd20"], settings={"schedule": "cifar10"}),
        columns=EVERY_K, seeds={"demo": 3, "lite": 1},  # the seeds of Table 1
        options=OVER_K | {"series": "accuracy", "panel": "data"}),
    "figure4": maps_figure(
        title="Saliency of students of two teachers (Figure 4)",
        caption="Absolute gradient of the true class's probability, summed over channels, of the first test images. Teacher 1: adversarially trained on another data set, fine-tuned clean; teacher 2: adversarially trained on this one. The other columns are ours.",
        rows=product(data=["cifar10", "cifar100"]),
        columns=[
            column("image", "maps.image", method="phase2"),
            column("ours, teacher 1", "maps.saliency", method="phase2_a"),
            column("ours, teacher 2", "maps.saliency", method="phase2"),
            column("teacher 1 itself", "maps.saliency", method="teacher_a"),
            column("teacher 2 itself", "maps.saliency", method="at"),
            column("standard training", "maps.saliency", method="standard")],
        base=WRN, seeds={"demo": 1, "lite": 1, "paper": 1}, options={"plot": "images"}),
    "figure5": curriculum_figure(
        title="γ of the second phase (Figure 5)",
        caption="After the last k: 50 in both. The paper prints only that 20 (CIFAR-10) and 15 (CIFAR-100) are best.",
        rows=GAMMAS, columns=EVERY_K[-1:], seeds={"demo": 1, "lite": 1},
        options=OVER_GAMMA | {"series": "accuracy", "panel": "data"}),
    "figure6": maps_figure(
        title="Perturbations before and after the second phase (Figure 6)",
        caption="A: after the first phase, B: after the second. Change: |δ| / ε, so that white is the most a pixel may change. The paper says that B's are much smaller; the CSV has the mean of each picture. An l_inf attack moves every pixel whose gradient is not exactly 0.",
        rows=[{"group": "", "label": "FGSM", "name": "fgsm"}, {"group": "", "label": "PGD-20", "name": "pgd"}],
        columns=[
            column("image", "maps.image", method="phase1"),
            column("A attacked", "maps.{name}", method="phase1"), column("A change", "maps.{name}_delta", method="phase1"),
            column("B attacked", "maps.{name}", method="phase2"), column("B change", "maps.{name}_delta", method="phase2")],
        seeds={"demo": 1, "lite": 1, "paper": 1}, options={"plot": "images"}),
    "pgd_steps": accuracy_table(
        title="More steps and restarts, CIFAR-10 (text of section 5)",
        caption="PGD of radius 8/255 with more steps, and with 10 random restarts of 20 steps, which change the paper's result by ± 0.02 %.",
        rows=[row("OURS", "phase2"), ours("phase1"), ours("at"), ours("standard")],
        columns=[*printed("PGD-20", "PGD-50", "PGD-70", "PGD-100"), accuracy("PGD-20, 10 restarts", "pgd20_10", published=None)],
        suite="strength", published={"item": "text", "row": "OURS | CIFAR-10"}),
    "time": ItemSpec(
        kind="table",
        title="What a training costs against adversarial training, CIFAR-10",
        caption="Composed of measured steps on WRN32-10 with the paper's settings, on the device named below. The paper says that its training takes 10-20 % of any adversarial training's time (introduction), and 10-20 % extra effort over it (abstract). It counts no teacher; the last row does. Every share hangs on AT's 205 epochs, which are assumed (Madry's 80,000 steps of 128; the paper has none): against an AT of E epochs it is 205 / E times as large. OURS is timed for 100 + 75 epochs in batches of 32, AT in batches of 128, both of the code that the paper builds on. Memory: what a step holds at once for each further image of its batch, weights not counted; the paper's Broader Impact calls its own a cost, 'owing to the different Jacobians'. Where several trainings are meant, memory is that of the largest step, and time per epoch the mean over the epochs of all.",
        rows=[
            row("Standard training", "standard"), row("AT (PGD-7), the teacher", "at"), row("AT-Free, 8 replays", "free"),
            row("OURS, phase 1", "phase1"), row("OURS, both phases", "phase2", also="phase1"),
            row("OURS and its teacher", "phase2", also="phase1+at")],
        columns=[
            column("time per epoch", "minutes_per_epoch", unit="minutes", better="low", digits=1),
            column("time", "minutes", unit="minutes", better="low", digits=0),
            column("share of AT", "time_share", unit="%", better="low", digits=1, reference="at"),
            column("an image", "memory", "memory of a step", unit="MB", better="low", digits=1),
            column("share of AT", "memory_share", "memory of a step", unit="%", better="low", digits=0, reference="at")],
        base=ON_CIFAR10),
    "phase1": accuracy_table(
        title="The model after the first phase beside its teacher",
        caption="The paper says 1 % to 2 % better than the teacher in natural and adversarial accuracy (Tables 11 and 12 of its appendix, which are not in the text).",
        rows=product(data=["cifar10", "cifar100"], method=["phase1", "at", "standard"]), columns=accuracies(*FIVE),
        base=WRN, seeds=ONCE),
    "single_k": accuracy_table(
        title="One k without a curriculum, CIFAR-10",
        caption="The second phase with k = 50 throughout, as many epochs as the curriculum has; the paper's numbers are in its appendix, which is not in the text.",
        rows=product(method=["phase2", "phase2_single", "phase1", "standard"]), columns=accuracies(*FIVE)),
    "alignment": ItemSpec(
        kind="table",
        title="Alignment and linearised robustness (equations 4 to 7), CIFAR-10",
        caption="Ours: the paper prints none. Means over test images, of the logits: α = |⟨x, ∇Ψ⟩| / ‖∇Ψ‖ of the predicted class, α_b the same of its logit less that of the class whose boundary is nearest, and ρ, the distance to that boundary of the linearised network, in l_2 of pixels in [0, 1]. Equation 5 says ρ ≤ α_b + C / ‖g‖, of a constant C that the paper does not give: least C is the smallest with which that holds for every image here; ρ ≤ α_b: the share of the images that need none.",
        rows=FOUR,
        columns=[
            column("α", "maps.alpha", better="high"), column("α_b", "maps.alpha_plus", better="high"),
            column("ρ", "maps.rho", better="high"), column("‖g‖", "maps.jacobian"),
            column("ρ ≤ α_b", "maps.within", "equation 5", unit="%", digits=1),
            column("least C", "maps.constant", "equation 5"), column("α_b + C / ‖g‖", "maps.bound", "equation 5"),
            accuracy("PGD-20", "pgd20", suite="ablations", digits=1)],
        base=ON_CIFAR10, suite="maps", digits=3),
    "bound": maps_figure(
        title="Equation 5: linearised robustness and its bound",
        caption="Ours: the paper draws none. Means over test images: ρ, the binarised alignment α_b, and the bound α_b + C / ‖g‖ with the least C for which it holds for every image here (the paper gives no C). The paper reads a small error term, C / ‖g‖, as 'robust networks yield better alignment'.",
        rows=FOUR,
        columns=[column("ρ, measured", "maps.rho"), column("α_b", "maps.alpha_plus"),
                 column("the bound, α_b + C / ‖g‖", "maps.bound")],
        seeds={"demo": 3}, options=BARS | {"y_label": "l_2 of pixels in [0, 1]"}),
    "weights": accuracy_table(
        title="The paper's own β and γ, CIFAR-10",
        caption="Ours. Where a scale changes β and γ (see the foot), the rows 'own weights' have those of the paper: 2 and 10, then 20. Logged: the terms as they entered the training loss, weights included, means over the last epoch.",
        rows=[
            row("OURS after phase 1", "phase1"), row("OURS", "phase2"),
            row("OURS after phase 1, own weights", "phase1_own", "The paper's own weights"),
            row("OURS, own weights", "phase2_own", "The paper's own weights"),
            row("AT (PGD-7), the teacher", "at", "References"), row("Standard training", "standard", "References")],
        columns=[
            *accuracies("Clean", "FGSM", "PGD-20"),
            column("L_CE", "history.loss_ce", "logged", digits=3),
            column("β L_robust", "history.loss_align_robust", "logged", digits=3),
            column("γ L_diff", "history.loss_align_diff", "logged", digits=3)],
        one_block=True),
    "localisation": maps_figure(
        title="How much of the saliency lies on the object",
        caption="Ours, on drawn images, whose object masks are known: the share of the absolute gradient of the true class's probability that falls on the object, and of the changes that FGSM and PGD-20 make, beside the object's share of the area, which maps without a preference would reach.",
        rows=FOUR,
        columns=[column("the object's area", "maps.area"), column("saliency", "maps.saliency"),
                 column("change by FGSM", "maps.fgsm"), column("change by PGD-20", "maps.pgd")],
        unit="%", better="high", seeds={"demo": 3}, options=BARS | {"y_label": "share on the object (%)"}),
    "teachers": maps_figure(
        title="How much of the saliency of students of two teachers lies on the object",
        caption="Ours, of the networks of Figure 4, on drawn images as localisation: the share of the absolute gradient of the true class's probability that falls on the object, beside the object's share of the area. Teacher 1: adversarially trained on another data set, fine-tuned clean; teacher 2: adversarially trained on this one.",
        rows=[{"group": data, "label": f"OURS, teacher {k}", "data": data, "method": method}
              for data in ("cifar10", "cifar100") for k, method in ((1, "phase2_a"), (2, "phase2"))],
        columns=[column("the object's area", "maps.area"), column("saliency", "maps.saliency")],
        base=WRN, unit="%", better="high", seeds=ONCE,
        options=BARS | {"series": "row_label", "panel": "data", "y_label": "share on the object (%)"}),
    "perturbations": maps_figure(
        title="How large perturbations are",
        caption="Ours, of Figure 6, where the paper shows pictures: the mean of |δ| / ε over pixels and test images. FGSM moves every pixel whose gradient is not exactly 0 by ε, as far as the range of the image lets it, so that it can hardly tell networks apart.",
        rows=FOUR, columns=[column("FGSM", "maps.fgsm_size"), column("PGD-20", "maps.pgd_size")],
        unit="%", seeds={"demo": 3}, options=BARS | {"y_label": "mean |δ| (% of ε)"}),
    "batchnorm": ItemSpec(
        kind="table",
        title="Two conventions of BatchNorm in evaluation, CIFAR-10",
        caption="Running statistics, as everywhere else here; and the statistics of the attacked batch of 100 test images, in attack and scoring, as the authors' code evaluates: a prediction then depends on the other images of its batch.",
        rows=[
            printed_row("AT(PGD-7)[3]", "at", "Iterative Methods | NO"),
            printed_row("OURS", "phase2", "Non-Iterative Methods | YES"),
            ours("phase1"), ours("phase2_corrected"), ours("standard")],
        columns=UNDER_BOTH,
        base=ON_CIFAR10, digits=1, published={"item": "table1"},
        one_block=True, options={"doubt": [["pgd20_batch", "pgd20"]]}),
    "autopsy": ItemSpec(
        kind="figure",
        title="What the authors' way of evaluating adds",
        caption="Ours. Points of accuracy of one network with the statistics of the attacked batch of 100 test images, as the authors' code evaluates, less those with running statistics, as everywhere else here.",
        rows=FOUR,
        columns=[column("Clean", "clean_batch-natural", unit="points"), column("FGSM", "fgsm_batch-fgsm", unit="points"),
                 column("PGD-20", "pgd20_batch-pgd20", unit="points")],
        base=ON_CIFAR10, suite="conventions", digits=1,
        options={"plot": "bars", "group": "row_label", "series": "column_label", "y_label": "points"}),
    "tinyimagenet": accuracy_table(
        title="Robust accuracy on TinyImageNet",
        caption="The paper's numbers are in its appendix, which is not in the text.",
        rows=FOUR, columns=accuracies(*FIVE), base=WRN | {"data": "tiny-imagenet"}),
}  # fmt: skip

PAPER = Paper(
    title="Get Fooled for the Right Reason: Improving Adversarial Robustness through a Teacher-guided Curriculum Learning Approach",
    source="NeurIPS 2021",
    seeds=1,  # checklist 3c: no error bars, one training
    labels=LABELS,
    spec=spec,
    suites=SUITES,
    items=ITEMS,
    methods=METHODS,
    choices=choices,
    scales=SCALES,
)
