"""The claims of the saliency paper in our words, each with its test; published/claims.csv has the paper's wording and numbers."""

from __future__ import annotations

from itertools import product

from leanat.experiments.claim import Case, Claim, case, every, level, mechanism, ordering, time

TABLE1 = {  # the rows of Tables 1 and 2 that are trained here
    "ours": "Non-iterative methods, curriculum | OURS",
    "igam": "Non-iterative methods, no curriculum | IGAM[9]",
    "at": "Iterative methods, no curriculum | AT(PGD-7)[3]",
    "trades": "Iterative methods, no curriculum | TRADES[27]*",
    "awp": "Iterative methods, no curriculum | AWP-AT[13]*",
    "mart": "Iterative methods, no curriculum | MART[14]*",
    "fat": "Iterative methods, curriculum | FAT[17]",
    "free": "Non-iterative methods, no curriculum | AT-Free[18]",
}
TEACHERS = {  # Tables 3 and 4: adversarially trained on the same data, and fine-tuned on clean data
    "table3": ("B: adversarially trained on CIFAR-10", "A: adversarially trained on TinyImageNet, fine-tuned clean"),
    "table4": ("D: adversarially trained on CIFAR-100", "C: adversarially trained on CIFAR-10, fine-tuned clean"),
}
FIVE = ["Clean", "FGSM", "PGD-5", "PGD-10", "PGD-20"]
ATTACKED = ["Nat.", "FGSM", "PGD5", "PGD10", "PGD20"]  # columns of Tables 3 to 6


def methods(item: str, column: str, *names: str) -> Case:
    return case(item, column, **{name: TABLE1[name] for name in names})


def curriculum(data: str, best: int, *others: int) -> Case:
    """Networks of the curriculum over k (Figure 3)."""
    shares = zip(("best", *"abcd"), (best, *others), strict=True)
    return {name: ("figure3", f"{data} | PGD-20", str(k)) for name, k in shares}


def gammas(data: str, best: int, *others: int) -> Case:
    """Networks at k = 50 with several values of gamma in the second phase (Figure 5)."""
    values = zip(("best", *"abcd"), (best, *others), strict=True)
    return case("figure5", "50", **{name: f"{data} | PGD-20 | {gamma} | γ = {gamma}" for name, gamma in values})


# For claims about single values of beta, gamma and k.
OTHER_WEIGHTS = {
    "scales": ("cpu", "lite", "paper"),
    "why": "at demo beta and gamma are 1/40 and 500 (50) times the paper's, which says nothing of the paper's values",
}

CLAIMS = [
    ordering(
        "saliency-01",
        says="the method has the best clean accuracy of all on CIFAR-10 (of those that are trained here)",
        source="abstract, Table 1",
        cases=[methods("table1", "Clean", *TABLE1)],
    ),
    ordering(
        "saliency-02",
        says="the method is the most robust of all on CIFAR-10, against every attack (of those that are trained here)",
        source="section 5, Table 1",
        cases=[methods("table1", column, *TABLE1) for column in ["FGSM", "PGD-5", "PGD-10", "PGD-20", "C&W", "AA"]],
        least=0.3,
    ),
    ordering(
        "saliency-03",
        says="the method is the most accurate and the most robust of all on CIFAR-100 (of those that are trained here)",
        source="section 5, Table 2",
        cases=[methods("table2", column, "ours", "at", "trades", "free") for column in FIVE],
    ),
    ordering(
        "saliency-04",
        says="on WRN-32-10 the method beats the baselines on the larger WRN-34-10 (of those that are trained here)",
        source="section 5, Tables 1 and 2",
        cases=[
            case(item, column, ours=TABLE1["ours"], other=TABLE1[other])
            for item, others, more in [("table1", ["trades", "awp", "mart"], ["C&W", "AA"]), ("table2", ["trades"], [])]
            for other, column in product(others, ["Clean", "FGSM", "PGD-20", *more])
        ],
        least=0.3,
        scales=("paper",),
        why="the larger network of the baselines is the same as ours elsewhere",
    ),
    time(
        "saliency-05",
        says="training takes 10 to 20 % of the time of adversarial training (read as: less than 20 %; without the "
        "teacher's; of an adversarial training of 205 epochs, which we assume: the paper gives no number)",
        source="sections 1 and 7",
        cases=[case("time", "share of AT", share="OURS, both phases")],
        expect=every(below=20),
        unit="%",
    ),
    level(
        "saliency-06",
        says="more PGD steps change little (read as: from 20 to 100 steps, less than 2 points)",
        source="section 5",
        cases=[case("pgd_steps", "PGD-20", few="OURS") | case("pgd_steps", "PGD-100", many="OURS")],
        expect=every(within=2),
        unit="points",
        nested=True,
    ),
    level(
        "saliency-07",
        says="random restarts change next to nothing (read as: less than 1 point)",
        source="section 5",
        cases=[case("pgd_steps", "PGD-20", once="OURS") | case("pgd_steps", "PGD-20, 10 restarts", again="OURS")],
        expect=every(within=1),
        unit="points",
        nested=True,
    ),
    ordering(
        "saliency-08",
        says="the best network of the curriculum is that of k = 50 on CIFAR-10 and of k = 70 on CIFAR-100, by PGD-20",
        source="sections 5 and 6, Figure 3",
        cases=[curriculum("CIFAR-10", 50, 90, 80, 70, 60), curriculum("CIFAR-100", 70, 90, 80, 60, 50)],
        **OTHER_WEIGHTS,
    ),
    ordering(
        "saliency-09",
        says="the best gamma of the second phase is 20 on CIFAR-10 and 15 on CIFAR-100 (by PGD-20)",
        source="section 6, Figure 5",
        cases=[gammas("CIFAR-10", 20, 5, 10, 15, 25), gammas("CIFAR-100", 15, 5, 10, 20, 25)],
        **OTHER_WEIGHTS,
    ),
    ordering(
        "saliency-10",
        says="after the first phase the network is 1 to 2 points better than its teacher, clean and under every attack "
        "(read as: better, where less than 1 point does not matter)",
        source="sections 4.1 and 6",
        cases=[
            case("phase1", column, ours=f"{data} | OURS after phase 1", teacher=f"{data} | AT (PGD-7), the teacher")
            for data in ["CIFAR-10", "CIFAR-100"]
            for column in FIVE
        ],
        least=1,
    ),
    ordering(
        "saliency-11",
        says="a teacher adversarially trained on the same data is better than one fine-tuned on clean data, clean "
        "and under every attack",
        source="section 6, Tables 3 and 4",
        cases=[
            case(item, column, whole=f"Teacher | {whole}", tuned=f"Teacher | {tuned}")
            for item, (whole, tuned) in TEACHERS.items()
            for column in ATTACKED
        ],
    ),
    ordering(
        "saliency-12",
        says="the second phase started from adversarial training, not from the own first phase, is much worse (read as: worse)",
        source="section 6, Table 8",
        cases=[
            case("table8", column, own="P1:OUR ⟹ P2:OUR", at="P1:AT ⟹ P2:OUR") for column in ["Nat.", "FGSM", "PGD-20"]
        ],
    ),
    mechanism(
        "saliency-13",
        says="after the first phase the network has a lower cross-entropy than adversarial training",
        source="section 6, Table 7",
        cases=[case("table7", "CE loss", at="AT Model", ours="Our Model")],
        unit="nats",
    ),
    ordering(
        "saliency-14",
        says="keeping the alignment losses in the second phase is better, clean and under every attack",
        source="section 6, Tables 5 and 6",
        cases=[
            case(item, column, keep="Align Loss | Keep", remove="Align Loss | Remove")
            for item in ["table5", "table6"]
            for column in ATTACKED
        ],
    ),
    ordering(
        "saliency-15",
        says="both losses are needed, that of beta and that of gamma",
        source="section 6, Table 9",
        cases=[
            case("table9", column, both="β = 2 and γ = 20", no_beta="β = 0 and γ = 20", no_gamma="β = 2 and γ = 0")
            for column in ["Natural", "PGD20"]
        ],
        **OTHER_WEIGHTS,
    ),
    ordering(
        "saliency-16",
        says="the curriculum over k is better than training at the best k alone, clean and under every attack",
        source="section 6",
        cases=[case("single_k", column, ours="OURS", single="OURS, k = 50 alone") for column in FIVE],
    ),
    ordering(
        "saliency-17",
        says="clean accuracy is much nearer to natural training than that of other robust networks (read as: less "
        "than half as far as each of those that are trained here; by the paper's numbers so only if its natural accuracy, "
        "which it does not print, is below 92.6 %)",
        source="section 1",
        cases=[
            case("table1", "Clean", ours=TABLE1["ours"], other=other, natural="Our references | Standard training")
            for name, other in TABLE1.items()
            if name != "ours"
        ],
        effect=lambda ours, other, natural: 0.5 * (natural - other) - (natural - ours),
        least=0,
    ),
    mechanism(
        "saliency-18",
        says="the changes that attacks make lie on the object after the second phase, more than after the first",
        source="sections 1 and 6, Figure 6",
        cases=[
            case("localisation", f"change by {attack}", second="OURS", first="OURS after phase 1")
            for attack in ["FGSM", "PGD-20"]
        ],
        unit="points",
    ),
    Claim(
        "saliency-19",
        says="it works on TinyImageNet, too",
        source="abstract, section 5",
        untestable="its numbers are in an appendix that is not in our text; figures/saliency/tinyimagenet.pdf shows ours",
    ),
    Claim(
        "saliency-20",
        says="gamma has to be larger than beta",
        source="section 6",
        untestable="no item has a gamma below beta, except 0 (saliency-15)",
    ),
    mechanism(
        "saliency-21",
        says="the saliency of robust networks lies on the object, more than that of natural ones",
        source="abstract, section 4",
        cases=[case("localisation", "saliency", robust="AT (PGD-7), the teacher", natural="Standard training")],
        unit="points",
    ),
    mechanism(
        "saliency-22",
        says="the changes that attacks make are much smaller after the second phase than after the first, for FGSM and "
        "PGD-20 (read as: mean |δ|, where less than 5 % of ε does not matter)",
        source="section 6, Figure 6",
        cases=[
            case("perturbations", attack, second="OURS", first="OURS after phase 1") for attack in ["FGSM", "PGD-20"]
        ],
        effect=lambda second, first: first - second,
        unit="% of ε",
        least=5,
    ),
    mechanism(
        "saliency-23",
        says="a teacher adversarially trained on the same data gives better saliency maps than one fine-tuned on clean "
        "data (read as: more of the map lies on the object)",
        source="section 6, Figure 4",
        cases=[
            case("teachers", "saliency", whole=f"{data} | OURS, teacher 2", tuned=f"{data} | OURS, teacher 1")
            for data in ["CIFAR-10", "CIFAR-100"]
        ],
        unit="points",
    ),
]
