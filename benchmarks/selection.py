"""How fast the coreset solvers are at CIFAR-10's size, beside public implementations, and whether they find as much.

    OMP_NUM_THREADS=1 python benchmarks/selection.py            # every case; about three minutes of one core, idle machine
    OMP_NUM_THREADS=1 python benchmarks/selection.py batches    # the cases whose name holds a word

Every solver runs in a process of its own, so that its peak memory is its own; a line per solver gives its CPU seconds (one
thread; data and compilation left out), the ratio to ours, the objective, and the peak. Facility location: F(S), larger is better.
Matching: |target - A w| / |target|, smaller is better. scikit-learn's weights may be negative, as those of
"ours, any sign", which takes the same atoms. Solvers that are not installed (apricot; submodlib: pip install --no-deps
submodlib-py) are left out.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from torch import Tensor

from leanat.selection.facility import facility_location
from leanat.selection.granularity import per_class
from leanat.selection.matching import matching_pursuit
from leanat.selection.outer_products import Gradients
from leanat.selection.taylor import Validation, taylor_greedy


def clustered(n: int, d: int, rank: int = 40) -> Tensor:
    """Gradients of a half-trained network, roughly: few directions with a decaying spectrum, and noise."""
    g = torch.Generator().manual_seed(0)
    directions = torch.randn(rank, d, generator=g) / torch.arange(1, rank + 1).sqrt()[:, None]
    return torch.randn(n, rank, generator=g) @ directions + 0.3 * torch.randn(n, d, generator=g)


def last_layer(n: int, k: int = 10, d: int = 512) -> tuple[Gradients, Tensor, Tensor]:
    """Factored gradients of n examples, their labels, and logits; features are rectified clusters by class."""
    g = torch.Generator().manual_seed(0)
    y = torch.randint(k, (n,), generator=g)
    phi = (torch.randn(k, d, generator=g)[y] + torch.randn(n, d, generator=g)).relu()
    z = torch.randn(n, k, generator=g) + 2 * torch.nn.functional.one_hot(y, k)
    return Gradients(((z.softmax(1) - torch.nn.functional.one_hot(y, k), phi),)), y, z


def similarity_of(x: Tensor) -> np.ndarray:
    squared = torch.cdist(x, x).square_()
    return squared.max().sub(squared).numpy()


def coverage(similarity: np.ndarray, chosen) -> float:
    best = np.zeros(len(similarity), np.float32)
    for j in chosen:
        np.maximum(best, similarity[int(j)], out=best)
    return float(best.sum(dtype=np.float64))


def ours_covers(x: Tensor, budget: int):
    return lambda: facility_location(x, budget)[0], lambda chosen: coverage(similarity_of(x), chosen)


def apricot_covers(x: Tensor, budget: int):
    from apricot import FacilityLocationSelection

    def solve(x, budget):
        similarity = similarity_of(x)
        return FacilityLocationSelection(budget, metric="precomputed", optimizer="lazy").fit(similarity).ranking

    solve(x[:400], 100)  # loads numba; apricot compiles its functions again in every fit, over a second
    return lambda: solve(x, budget), lambda chosen: coverage(similarity_of(x), chosen)


def submodlib_covers(x: Tensor, budget: int):
    from submodlib import FacilityLocationFunction

    def solve():
        similarity = similarity_of(x)
        function = FacilityLocationFunction(n=len(x), mode="dense", sijs=similarity, separate_rep=False)
        return [j for j, _ in function.maximize(budget=budget, optimizer="LazyGreedy", show_progress=False)]

    return solve, lambda chosen: coverage(similarity_of(x), chosen)


def misfit(atoms: Tensor, weights: np.ndarray) -> float:
    target = atoms.double().sum(0)
    return float((target - torch.from_numpy(weights) @ atoms.double()).norm() / target.norm())


def ours_matches(atoms: Tensor, budget: int, **options):
    def value(matching):
        weights = np.zeros(len(atoms))
        weights[matching.index.numpy()] = matching.weight.double().numpy()
        return misfit(atoms, weights)

    return lambda: matching_pursuit(atoms, atoms.sum(0), budget, **options), value


def sklearn_matches(atoms: Tensor, budget: int):
    from sklearn.linear_model import orthogonal_mp_gram

    def solve():
        a = atoms.double().numpy()
        return orthogonal_mp_gram(a @ a.T, a @ a.sum(0), n_nonzero_coefs=budget)

    return solve, lambda weights: misfit(atoms, weights)


def ours_covers_classes(n: int, budget: int):
    g, y, _ = last_layer(n)

    def value(chosen):
        total = 0.0
        for c in y.unique():
            similarity = similarity_of(g[y == c].dense())
            inside = torch.searchsorted((y == c).nonzero()[:, 0], chosen[y[chosen] == c])
            total += coverage(similarity, inside)
        return total

    return lambda: per_class(lambda members, k: facility_location(g[members], k), y, budget)[0], value


def ours_covers_computed(n: int, d: int, budget: int):
    x = clustered(n, d)
    return lambda: facility_location(x, budget, dense_bytes=0)[0], lambda chosen: coverage(similarity_of(x), chosen)


def ours_matches_classes(n: int, budget: int):
    g, y, _ = last_layer(n)

    def solve():
        return per_class(lambda members, k: matching_pursuit(g[members], g[members].sum(), k), y, budget)

    return solve, lambda chosen: float((g.sum() - g[chosen[0]].sum(chosen[1])).norm() / g.sum().norm())


def ours_taylor(n: int, m: int, budget: int, rounds: int):
    g, _, _ = last_layer(n)
    v, y, z = last_layer(m)
    validation = Validation(z, v.parts[0][1], y)

    def value(chosen):
        return float(validation.after(1e-4 * g[chosen].sum()).loss())

    return lambda: taylor_greedy(g, validation, budget, 1e-4, rounds)[0], value


CASES = {
    "facility location, 391 batches x 5,130, k 196": {
        "ours": lambda: ours_covers(clustered(391, 5130), 196),
        "apricot": lambda: apricot_covers(clustered(391, 5130), 196),
        "submodlib": lambda: submodlib_covers(clustered(391, 5130), 196),
    },
    "facility location, one class of 5,000 x 5,130, k 1,500": {
        "ours": lambda: ours_covers(clustered(5000, 5130), 1500),
        "apricot": lambda: apricot_covers(clustered(5000, 5130), 1500),
        "submodlib": lambda: submodlib_covers(clustered(5000, 5130), 1500),
    },
    "facility location, 12,500 x 512, k 3,750": {
        "ours": lambda: ours_covers(clustered(12500, 512), 3750),
        "apricot": lambda: apricot_covers(clustered(12500, 512), 3750),
        "submodlib": lambda: submodlib_covers(clustered(12500, 512), 3750),
    },
    "facility location, 50,000 x 5,130 factored, per class, k 15,000": {
        "ours": lambda: ours_covers_classes(50000, 15000),
    },
    "facility location, 20,000 x 512, columns computed (50,000: 190 s, 2.7 GiB), k 6,000": {
        "ours": lambda: ours_covers_computed(20000, 512, 6000),
    },
    "matching, 391 batches x 5,130, k 196": {
        "ours": lambda: ours_matches(clustered(391, 5130), 196),
        "ours, any sign": lambda: ours_matches(clustered(391, 5130), 196, nonnegative=False),
        "ours, as published": lambda: ours_matches(clustered(391, 5130), 196, as_published=True),
        "sklearn": lambda: sklearn_matches(clustered(391, 5130), 196),
    },
    "matching, one class of 5,000 x 5,130, k 1,500": {
        "ours": lambda: ours_matches(clustered(5000, 5130), 1500),
        "sklearn": lambda: sklearn_matches(clustered(5000, 5130), 1500),
    },
    "matching, 2,000 batches x 5,130, k 600": {
        "ours": lambda: ours_matches(clustered(2000, 5130), 600),
        "ours, as published": lambda: ours_matches(clustered(2000, 5130), 600, as_published=True),
        "sklearn": lambda: sklearn_matches(clustered(2000, 5130), 600),
    },
    "matching, 50,000 x 5,130 factored, per class, k 15,000": {
        "ours": lambda: ours_matches_classes(50000, 15000),
    },
    "Taylor greedy, 45,000 x 5,130 factored, 5,000 validation, k 15,000, 15 rounds": {
        "ours": lambda: ours_taylor(45000, 5000, 15000, 15),
    },
}


def one(case: str, solver: str) -> None:
    solve, value = CASES[case][solver]()
    started = time.process_time()
    chosen = solve()
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "value": value(chosen), "GiB": peak}))


def main(words: list[str]) -> None:
    for case, solvers in CASES.items():
        if words and not any(word in case for word in words):
            continue
        print(f"\n{case}\n  {'':20}{'seconds':>10}{'ratio':>8}{'objective':>18}{'peak GiB':>10}", flush=True)
        ours = None
        for solver in solvers:
            if solver in ("apricot", "submodlib") and importlib.util.find_spec(solver) is None:
                continue
            child = subprocess.run([sys.executable, __file__, "--one", case, solver], capture_output=True, text=True)
            if child.returncode:
                print(f"  {solver:20}failed: {child.stderr.strip().splitlines()[-1]}")
                continue
            row = json.loads(child.stdout.splitlines()[-1])
            ours = ours or row["seconds"]
            print(
                f"  {solver:20}{row['seconds']:10.2f}{row['seconds'] / ours:8.2f}{row['value']:18.8g}{row['GiB']:10.2f}",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:4])
    else:
        main(sys.argv[1:])
