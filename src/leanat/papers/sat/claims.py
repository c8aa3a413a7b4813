"""The claims of the SAT paper in our words, each with its test; published/claims.csv has the paper's wording and numbers."""

from __future__ import annotations

from itertools import product

from leanat.experiments.claim import Case, Claim, above_all, average, case, every, level, mean, mechanism, ordering

CLASSES = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SHARES = range(10, 100, 10)  # percent of the classes or of the examples that are attacked
DATA = ["CIFAR-10 | ResNet-18", "CIFAR-100 | ResNet-18", "ImageNet-200 | ResNet-50"]
TARGETS = [
    "CIFAR-10 | CIFAR-10 | ResNet-18",
    "Caltech-256 | Caltech-256 | ResNet-50",
    "Flowers-102 | Flowers-102 | ResNet-50",
]
TASKS = [f"{source} → {target}" for source, target in zip(["CIFAR-100", "IN-200", "IN-200"], TARGETS, strict=True)]
ATTACKED = list(product(DATA, SHARES))
WEIGHTS = {  # rules for the weight of the attacked examples' loss, Figure 7
    "vanilla": "vanilla | transferred",
    "balanced": "balanced | transferred",
    "over": "over-emphasised | S-CSAT",
}
TRANSFERRED = "on CIFAR-10 | CIFAR-10 | "
MEASURES = "ESAT, other measures | CIFAR-10 | ResNet-18"  # other measures of difficulty, in the supplement
NAMED = {"scales": ("cpu", "lite", "paper"), "why": "the classes it names are those of CIFAR-10"}


def animals_above_vehicles(plane, car, bird, cat, deer, dog, frog, horse, ship, truck):
    return average(bird, cat, deer, dog, frog, horse) - average(plane, car, ship, truck)


def classes_without_at(column: str) -> Case:
    """The classes of CIFAR-10 in Figure 3, trained without AT, in the column ``entropy`` or ``measured`` (clean accuracy)."""
    return case("figure3", column, **{name: f"{name}, accuracy without AT" for name in CLASSES})


def classes_of_cifar10(column: str, share: int) -> Case:
    return case("figure4", column, hardest=f"hardest | CSAT | {share}", random=f"random | CSAT | {share}")


def classes(data: str, share: int, *orders: str) -> Case:
    return case("figure5", "on all classes", **{order: f"{data} | {order} | CSAT | {share}" for order in orders})


def examples(data: str, share: int, *orders: str) -> Case:
    return case("figure6", "robust", **{order: f"{data} | {order} | ESAT | {share}" for order in orders})


def gaps_by_data_set(share: int) -> Case:
    """Hardest and easiest classes (Figure 5) and examples (Figure 6) on each data set."""
    places: Case = {}
    for (name, data), cells in product(zip(("c10", "c100", "in200"), DATA, strict=True), (classes, examples)):
        own = cells(data, share, "hardest", "easiest")
        places |= {f"{order}_{cells.__name__}_{name}": place for order, place in own.items()}
    return places


def wider_on_cifar10(
    hardest_classes_c10, easiest_classes_c10, hardest_classes_c100, easiest_classes_c100, hardest_classes_in200,
    easiest_classes_in200, hardest_examples_c10, easiest_examples_c10, hardest_examples_c100, easiest_examples_c100,
    hardest_examples_in200, easiest_examples_in200,
):  # fmt: skip
    """By how much the gap between hardest and easiest is larger on CIFAR-10 than on the others, for classes and for examples."""
    by_class, by_example = hardest_classes_c10 - easiest_classes_c10, hardest_examples_c10 - easiest_examples_c10
    return (
        by_class - (hardest_classes_c100 - easiest_classes_c100),
        by_class - (hardest_classes_in200 - easiest_classes_in200),
        by_example - (hardest_examples_c100 - easiest_examples_c100),
        by_example - (hardest_examples_in200 - easiest_examples_in200),
    )


def transfer(task: str, share: int, *orders: str) -> Case:
    return case("figure8", "robust", **{order: f"{task} | {order} | S-ESAT | {share}" for order in orders})


def random_and_hardest(share: int) -> Case:
    """Random and hardest examples, in transfer to each of the three tasks."""
    tasks = dict(zip(("c10", "caltech", "flowers"), TASKS, strict=True))
    cells = {name: transfer(task, share, "random", "hardest") for name, task in tasks.items()}
    return {f"{order}_{name}": place for name, own in cells.items() for order, place in own.items()}


def weights(share: int, *names: str) -> Case:
    return case("figure7", "robust", **{name: f"{TRANSFERRED} | {WEIGHTS[name]} | {share}" for name in names})


def here_and_there(share: int) -> Case:
    """Accuracies on CIFAR-100's classes that are not attacked (robust and clean) and that are attacked, and in transfer."""
    here = robust_and_clean("figure7", vanilla=on_cifar100("B", "vanilla", share), over=on_cifar100("B", "over", share))
    on_a = case("figure7", "robust", **{f"{name}_on_a": on_cifar100("A", name, share) for name in WEIGHTS})
    return here | on_a | {f"{name}_there": place for name, place in weights(share, "vanilla", "over").items()}


def on_cifar100(classes_of: str, name: str, share: int) -> str:
    """The row of Figure 7 for the classes of A or B."""
    return f"on {classes_of} | CIFAR-100 | @{classes_of} | {WEIGHTS[name].replace('transferred', 'CSAT')} | {share}"


def robust_and_clean(item: str, robust: str = "robust", clean: str = "clean", **rows: str) -> Case:
    return case(item, robust, **rows) | case(item, clean, **{f"{name}_clean": row for name, row in rows.items()})


def worse_here_better_there(
    vanilla, over, vanilla_clean, over_clean, vanilla_on_a, balanced_on_a, over_on_a, vanilla_there, over_there
):
    on_a = above_all(over_on_a, vanilla_on_a, balanced_on_a)
    return vanilla - over, vanilla_clean - over_clean, *on_a, over_there - vanilla_there


def over_nearer_to_full(full, balanced, over):
    """How far ``full`` is above ``balanced``, minus its distance from ``over``, with both signs of that distance."""
    return full - balanced - (full - over), full - balanced + (full - over)


CLAIMS = [
    ordering(
        "sat-01",
        says="adversarial training on one class makes the other classes robust, too, whatever the class",
        source="sections 1 and 4.1, Figures 1 and 2",
        cases=[case("figure2", "gain on B", gain=name) for name in CLASSES],
    ),
    ordering(
        "sat-02",
        says="attacking cat transfers more than twice as much as attacking car",
        source="section 1",
        cases=[case("figure2", "B", cat="cat", car="car")],
        effect=lambda cat, car: cat - 2 * car,
        least=0,
        **NAMED,
    ),
    level(
        "sat-03",
        says="without adversarial training robust accuracy is close to 0 % for all classes (read as: below 2 %)",
        source="section 4.1, Figure 2",
        cases=[case("figure2", name, none="without AT") for name in CLASSES],
        expect=every(below=2),
    ),
    ordering(
        "sat-04",
        says="a hard class transfers better to an unrelated class than a related class does: cat to truck against car to truck",
        source="caption of Figure 2",
        cases=[case("figure2", "truck", cat="cat", car="car")],
        **NAMED,
    ),
    ordering(
        "sat-05",
        says="attacking car transfers more to truck than to bird, cat, deer and dog",
        source="section 4.1",
        cases=[
            case("figure2", "truck", truck="car") | case("figure2", other, other="car")
            for other in ["bird", "cat", "deer", "dog"]
        ],
        **NAMED,
    ),
    level(
        "sat-06",
        says="attacking bird transfers 10 points more to truck than attacking car",
        source="section 4.1",
        cases=[case("figure2", "truck", bird="bird", car="car")],
        expect=every(above=10),
        **NAMED,
    ),
    ordering(
        "sat-07",
        says="attacking an animal class transfers more than attacking a vehicle (means)",
        source="section 4.1",
        cases=[case("figure2", "B", **{name: name for name in CLASSES})],
        effect=animals_above_vehicles,
        **NAMED,
    ),
    mechanism(
        "sat-08",
        says="animal classes have a higher entropy than vehicles (means)",
        source="section 4.1, Figure 3",
        cases=[classes_without_at("entropy")],
        effect=animals_above_vehicles,
        unit="nats",
        **NAMED,
    ),
    ordering(
        "sat-09",
        says="of fewer than 8 classes attacked, the hardest are better than random ones, on all classes",
        source="section 4.1, Figure 4",
        cases=[classes_of_cifar10("robust | all classes", share) for share in SHARES if share < 80],
    ),
    ordering(
        "sat-10",
        says="of any number of classes attacked, the hardest are better than random ones, on the classes not attacked",
        source="section 4.1, Figure 4",
        cases=[classes_of_cifar10("robust | classes of B", share) for share in SHARES],
    ),
    ordering(
        "sat-11",
        says="robustness transfers to the classes not attacked, for every data set, order and number of classes",
        source="section 4.1, Figure 5",
        cases=[
            case("figure5", "gain on B", gain=f"{data} | {order} | CSAT | {share}")
            for data, order, share in product(DATA, ["hardest", "random", "easiest"], SHARES)
        ],
    ),
    level(
        "sat-12",
        says="on CIFAR-100 and ImageNet-200 random classes are as good as the hardest (read as: within 2 points)",
        source="section 4.1, Figure 5",
        cases=[classes(data, share, "hardest", "random") for data, share in product(DATA[1:], SHARES)],
        expect=mean(within=2),
    ),
    level(
        "sat-13",
        says="attacking half of the examples recovers most of full adversarial training (read as: 90 % of its "
        "robust accuracy)",
        source="abstract, section 4.2, Figure 6",
        cases=[
            case("figure6", "robust", half=f"{data} | hardest | ESAT | 50", full=f"{data} | full AT | full AT")
            for data in DATA
        ],
        effect=lambda half, full: half / full,
        expect=every(above=0.9),
        unit="share",
    ),
    ordering(
        "sat-14",
        says="robust accuracy rises faster with examples attacked than with classes attacked (at up to half of them)",
        source="section 4.2, Figures 5 and 6",
        cases=[
            case("figure6", "robust", examples=f"{data} | hardest | ESAT | {share}")
            | case("figure5", "on all classes", classes=f"{data} | hardest | CSAT | {share}")
            for data, share in ATTACKED
            if share <= 50
        ],
        expect=mean(above=0),
    ),
    ordering(
        "sat-15",
        says="attacking the hardest examples is more robust than attacking the easiest",
        source="section 4.2, Figure 6",
        cases=[examples(data, share, "hardest", "easiest") for data, share in ATTACKED],
        least=0.1,
    ),
    ordering(
        "sat-16",
        says="attacking the easiest examples gives a higher clean and a lower robust accuracy than attacking the "
        "hardest (the smaller of both differences)",
        source="section 4.2",
        cases=[
            robust_and_clean(
                "figure6", hardest=f"{data} | hardest | ESAT | {share}", easiest=f"{data} | easiest | ESAT | {share}"
            )
            for data, share in ATTACKED
        ],
        effect=lambda hardest, easiest, hardest_clean, easiest_clean: (
            hardest - easiest,
            easiest_clean - hardest_clean,
        ),
        expect=mean(above=0),
    ),
    level(
        "sat-17",
        says="attacking random examples is about as good as attacking the hardest (read as: within 2 points on "
        "average)",
        source="section 4.2",
        cases=[examples(data, share, "hardest", "random") for data, share in ATTACKED],
        expect=mean(within=2),
    ),
    Claim(
        "sat-18",
        says="random choices of examples differ little from each other",
        source="section 4.2, Figure 6",
        untestable="a spread over draws, without a bound; Figure 6 draws it",
    ),
    ordering(
        "sat-19",
        says="for transfer from CIFAR-100 to CIFAR-10 the plain weights are worst, the over-emphasised best (the "
        "smaller of both steps)",
        source="section 4.3, Figure 7",
        cases=[weights(share, "vanilla", "balanced", "over") for share in SHARES],
        effect=lambda vanilla, balanced, over: (balanced - vanilla, over - balanced),
        expect=mean(above=0),
    ),
    ordering(
        "sat-20",
        says="at 10 classes attacked, balanced weights transfer much more robustness than plain ones",
        source="section 4.3",
        cases=[weights(10, "vanilla", "balanced")],
        effect=lambda vanilla, balanced: balanced - vanilla,
    ),
    ordering(
        "sat-21",
        says="at 90 classes attacked, over-emphasised weights transfer as full adversarial training does, "
        "balanced ones less",
        source="section 4.3",
        cases=[weights(90, "balanced", "over") | case("figure7", "robust", full=f"{TRANSFERRED} | full AT | full AT")],
        effect=over_nearer_to_full,
    ),
    ordering(
        "sat-22",
        says="over-emphasised weights are worse on the classes not attacked, robust and clean, and better in transfer, than "
        "plain ones, and more robust on the attacked classes than plain and balanced ones (the smallest of the five)",
        source="section 4.3, Figure 7",
        cases=[here_and_there(share) for share in SHARES],
        effect=worse_here_better_there,
        expect=mean(above=0),
    ),
    level(
        "sat-23",
        says="attacking 30 % of the source's examples nearly reaches full adversarial training on the target "
        "(read as: 90 % of its robust accuracy)",
        source="abstract, section 4.3, Figure 8",
        cases=[
            case("figure8", "robust", third=f"{task} | hardest | S-ESAT | 30", full=f"{task} | full AT | full AT")
            for task in TASKS
        ],
        effect=lambda third, full: third / full,
        expect=every(above=0.9),
        unit="share",
    ),
    ordering(
        "sat-24",
        says="with more than 30 % of the examples attacked, transfer to CIFAR-10 and to Flowers-102 even exceeds that of "
        "full adversarial training (read as: on each, with half of them)",
        source="section 4.3, Figure 8",
        cases=[
            case("figure8", "robust", half=f"{task} | hardest | S-ESAT | 50", full=f"{task} | full AT | full AT")
            for task in (TASKS[0], TASKS[2])
        ],
    ),
    ordering(
        "sat-25",
        says="in transfer, too, attacking the hardest examples is better than attacking the easiest (read as: at every size)",
        source="section 4.3, Figure 8",
        cases=[transfer(task, share, "hardest", "easiest") for task, share in product(TASKS, SHARES)],
    ),
    ordering(
        "sat-26",
        says="in transfer, clean accuracy rises together with robust accuracy (from 10 to 90 % attacked, the "
        "smaller of both)",
        source="section 4.3",
        cases=[
            robust_and_clean("figure8", few=f"{task} | hardest | S-ESAT | 10", many=f"{task} | hardest | S-ESAT | 90")
            for task in TASKS
        ],
        effect=lambda few, many, few_clean, many_clean: (many - few, many_clean - few_clean),
    ),
    level(
        "sat-27",
        says="it holds for FGSM, for S-CSAT and for SVHN as well: at 30 % attacked, transfer is near that at 90 % (read as: "
        "90 % of it)",
        source="section 4.3, supplement",
        cases=[
            case("supplement", "accuracy", third=f"{variant} | 30", most=f"{variant} | 90")
            for variant in (
                *(f"S-ESAT to {target} | FGSM-RS | S-ESAT" for target in TARGETS),
                "S-CSAT to CIFAR-10 | CIFAR-10 | ResNet-18 | hardest | S-CSAT",
                "S-ESAT to SVHN | SVHN | ResNet-18 | hardest | S-ESAT",
            )
        ],
        effect=lambda third, most: third / most,
        expect=every(above=0.9),
        unit="share",
    ),
    level(
        "sat-28",
        says="the mean entropy ranks as well as other measures of difficulty (read as: within 2 points of ranking "
        "by errors, and by the entropy of the last 10 epochs)",
        source="section 3.3, supplement",
        cases=[
            case(
                "supplement",
                "accuracy",
                entropy=f"{MEASURES} | entropy, all epochs | ESAT | {share}",
                other=f"{MEASURES} | {other} | ESAT | {share}",
            )
            for other, share in product(["error", "entropy, last epochs"], SHARES)
        ],
        expect=mean(within=2),
    ),
    ordering(
        "sat-29",
        says="with more of the data attacked, robust accuracy rises and clean accuracy falls (from 10 to 90 %, "
        "the smaller of both)",
        source="caption of Figure 6, section 4.3",
        cases=[
            *(
                robust_and_clean("figure6", few=f"{data} | hardest | ESAT | 10", many=f"{data} | hardest | ESAT | 90")
                for data in DATA
            ),
            robust_and_clean(
                "figure4",
                "robust | all classes",
                "clean | all classes",
                few="hardest | CSAT | 10",
                many="hardest | CSAT | 90",
            ),
        ],
        effect=lambda few, many, few_clean, many_clean: (many - few, few_clean - many_clean),
    ),
    ordering(
        "sat-30",
        says="transfer to the classes not attacked is greatest with the hardest classes and least with the easiest (mean "
        "over data sets and numbers of classes)",
        source="section 4.1",
        cases=[
            case(
                "figure5",
                "gain on B",
                **{order: f"{data} | {order} | CSAT | {share}" for order in ["hardest", "random", "easiest"]},
            )
            for data, share in product(DATA, SHARES)
        ],
        effect=lambda hardest, random, easiest: (hardest - random, random - easiest),
        expect=mean(above=0),
    ),
    ordering(
        "sat-31",
        says="hardest against easiest differ more where examples are attacked than where classes are (mean over data sets and "
        "sizes)",
        source="caption of Figure 6, section 4.2",
        cases=[
            examples(data, share, "hardest", "easiest")
            | {f"{name}_classes": cell for name, cell in classes(data, share, "hardest", "easiest").items()}
            for data, share in ATTACKED
        ],
        effect=lambda hardest, easiest, hardest_classes, easiest_classes: (
            (hardest - easiest) - (hardest_classes - easiest_classes)
        ),
        expect=mean(above=0),
    ),
    ordering(
        "sat-32",
        says="in transfer to Flowers-102 random examples are better than the hardest, at every size",
        source="section 4.3, Figure 8",
        cases=[transfer(TASKS[2], share, "hardest", "random") for share in SHARES],
        effect=lambda hardest, random: random - hardest,
    ),
    ordering(
        "sat-33",
        says="hardest and easiest differ more on CIFAR-10 than on CIFAR-100 and on ImageNet-200, where classes are attacked and "
        "where examples are (means over the sizes)",
        source="abstract, section 4.1, Figures 5 and 6",
        cases=[gaps_by_data_set(share) for share in SHARES],
        effect=wider_on_cifar10,
        expect=mean(above=0),
    ),
    level(
        "sat-34",
        says="in transfer random examples are competitive (read as: on each task at most 2 points below the hardest, on average "
        "over the sizes)",
        source="section 4.3, caption of Figure 8",
        cases=[random_and_hardest(share) for share in SHARES],
        effect=lambda random_c10, hardest_c10, random_caltech, hardest_caltech, random_flowers, hardest_flowers: (
            random_c10 - hardest_c10,
            random_caltech - hardest_caltech,
            random_flowers - hardest_flowers,
        ),
        expect=mean(above=-2),
    ),
    ordering(
        "sat-35",
        says="animal classes are harder to classify than vehicles: without AT their clean accuracy is lower (means)",
        source="section 4.1, Figure 3",
        cases=[classes_without_at("measured")],
        effect=animals_above_vehicles,
        expect=every(below=0),
        **NAMED,
    ),
]
