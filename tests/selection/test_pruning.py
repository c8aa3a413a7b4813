"""Pruning by a score of each example, against the papers' formulas, and rules out of a user's file."""

import importlib
import os
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import Small, make_run, split, toy

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core import loop, own_code
from leanat.core.nouns import Step
from leanat.core.rng import Draws
from leanat.selection import forgetting
from leanat.selection.basic import Every
from leanat.selection.from_file import FromFile, checked, hash_of, load
from leanat.selection.granularity import shares
from leanat.selection.ranked import EL2N, Margin, Moderate, RandomPerClass, centrality

DATA = toy(n=30, n_classes=3)


@pytest.fixture
def run():
    made = make_run(Small(seed=1))
    made.net.train()
    return made


def logits(run, x):
    run.net.eval()
    with torch.no_grad():
        z = run.net(x).double().numpy()
    run.net.train()
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def kept(selector, run):
    return sorted(selector(run, split(DATA)).index.tolist())


def top(score, k):
    return sorted(np.argsort(-score, kind="stable")[:k].tolist())


def per_class(score, k):
    labels = DATA.labels.numpy()
    counts = shares(np.bincount(labels).tolist(), k)
    return sorted(i for c, n in enumerate(counts) for i in np.flatnonzero(labels == c)[top(score[labels == c], n)])


def test_el2n_is_the_length_of_the_error_vector(run):
    x, y = DATA.batch(torch.arange(30), 0)
    p = logits(run, x)
    score = np.linalg.norm(p - np.eye(3)[y.numpy()], axis=1)
    assert kept(EL2N(fraction=0.4, granularity="example"), run) == top(score, 12)
    assert kept(EL2N(fraction=0.4, granularity="class"), run) == per_class(score, 12)


def test_margin_is_between_the_two_likeliest(run):
    p = np.sort(logits(run, DATA.batch(torch.arange(30), 0)[0]), axis=1)
    score = p[:, -2] - p[:, -1]
    assert kept(Margin(fraction=0.3, granularity="example"), run) == top(score, 9)
    assert kept(Margin(fraction=0.3, granularity="class"), run) == per_class(score, 9)


def test_scores_are_those_of_adversarial_images(run):
    attack = PGD(threat=Linf(eps=0.3), steps=2, step_size=0.2, start="none")
    x, y = DATA.batch(torch.arange(30), 0)
    index = torch.arange(30)
    x_adv = attack(run.net, Step(0, index, x, y, torch.ones(30), Draws(0, 0, index)))
    score = np.linalg.norm(logits(run, x_adv) - np.eye(3)[y.numpy()], axis=1)
    attacked = make_run(run.net, attack=attack)
    assert kept(EL2N(fraction=0.4, granularity="example"), attacked) == top(score, 12)
    assert top(score, 12) != kept(EL2N(fraction=0.4, granularity="example"), run)


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6])
def test_moderate_is_the_middle_by_distance_as_in_the_authors_code(run, rate):
    x, y = DATA.batch(torch.arange(30), 0)
    run.net.eval()
    with torch.no_grad():
        phi = run.net.body(x).double().numpy()
    run.net.train()
    centres = np.stack([phi[y.numpy() == c].mean(0) for c in range(3)])
    distance = np.linalg.norm(phi - centres[y.numpy()], axis=1)
    order = distance.argsort()
    middle = order[round(30 * (0.5 - rate / 2)) : round(30 * (0.5 + rate / 2))]
    assert kept(Moderate(fraction=rate, granularity="example"), run) == sorted(middle.tolist())


def test_moderate_by_class_is_the_middle_of_each(run):
    distance, groups = torch.tensor([5.0, 1, 3, 9, 2, 4, 8]), torch.tensor([0, 0, 0, 1, 1, 1, 1])
    # ranks within class 0: 2 0 1, within class 1: 3 0 1 2
    assert centrality(distance, groups).tolist() == [-1, -1, 0, -1.5, -1.5, -0.5, -0.5]


def test_forgetting_events_by_hand():
    memory = {
        "right": torch.zeros(4, dtype=torch.bool),
        "learnt": torch.zeros(4, dtype=torch.bool),
        "events": torch.zeros(4).long(),
    }
    for right in ([1, 0, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1], [0, 0, 1, 1]):
        forgetting.note(memory, torch.tensor(right, dtype=torch.bool))
    assert memory["events"].tolist() == [2, 0, 1, 0]
    assert memory["learnt"].tolist() == [True, False, True, True]


def test_forgetting_counts_what_a_subset_leaves_out_and_keeps_most_forgotten_first():
    selector = Every(period=3, warmup=3, inner=forgetting.Forgetting(fraction=0.2, granularity="example"))
    run = make_run(Small(seed=1), selector, epochs=7, lr=0.5, batch=4, extras=(forgetting.ForgettingEvents(),))
    before, events, seen = torch.zeros(30, dtype=torch.bool), torch.zeros(30).long(), []

    def look(run):
        nonlocal before, events
        run.net.eval()
        with torch.no_grad():
            now = run.net(DATA.plain().batch(torch.arange(30), 0)[0]).argmax(1) == DATA.labels
        run.net.train()
        events, before = events + (before & ~now), now
        seen.append((events.clone(), len(run.subset.index), run.subset.index.tolist()))

    loop.train(run, split(DATA), look)
    assert run.memory["forgetting"]["events"].tolist() == seen[5][0].tolist(), "after all epochs but the last"
    assert [n for _, n, _ in seen] == [30, 30, 30, 6, 6, 6, 6]
    assert int(seen[-1][0].sum()) > 0
    chosen, counts = seen[-1][2], seen[5][0]
    learnt = run.memory["forgetting"]["learnt"]
    rank = torch.where(learnt, counts, 100)
    assert rank[chosen].min() >= rank[[i for i in range(30) if i not in chosen]].max()


def test_forgetting_says_what_it_needs(run):
    with pytest.raises(ValueError, match="needs the extra forgetting_events"):
        forgetting.Forgetting(fraction=0.2, granularity="class")(run, split(DATA))


def test_random_per_class_gives_equal_shares_and_depends_on_the_seed():
    found = [RandomPerClass(fraction=0.3)(make_run(Small(), seed=s), split(DATA)).index for s in (0, 0, 1)]
    assert DATA.labels[found[0]].bincount().tolist() == [3, 3, 3]
    assert torch.equal(found[0], found[1])
    assert found[0].sort().values.tolist() != found[2].sort().values.tolist()


CODE = """
import torch


class First:
    def __init__(self, fraction):
        self.n = round(30 * fraction)

    def __call__(self, run, split):
        return torch.arange(self.n), torch.full((self.n,), 2.0)


class Twice(First):
    def __call__(self, run, split):
        return torch.zeros(3, dtype=torch.int64)


class Mask(First):
    def __call__(self, run, split):
        return torch.ones(30, dtype=torch.bool)


class Exits(First):
    def __call__(self, run, split):
        exit(3)


class Negative(First):
    def __call__(self, run, split):
        return torch.arange(2), torch.tensor([1.0, -1.0])
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.py"
    path.write_text(CODE)
    return path


def test_a_rule_of_the_user_s_own(run, file):
    source = f"{file}:First"
    subset = FromFile(source=source, fraction=0.2, content=hash_of(source))(run, split(DATA))
    assert subset.index.tolist() == list(range(6))
    assert subset.weight.tolist() == [2.0] * 6
    file.write_text(CODE + "\n# another version\n")
    with pytest.raises(ValueError, match="the file changed since this run was planned"):
        FromFile(source=source, fraction=0.2, content="0" * 8)(run, split(DATA))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Frist", "no class or function 'Frist'; there are: First, Twice, Mask, Exits, Negative"),
        ("Twice", "returns 3 numbers, 0 more than once; different ones from 0 to 29"),
        ("Mask", r"returns torch.bool \[30\]; the numbers of the examples to keep"),
        ("Exits", r"rules.py, line \d+: RuntimeError: it calls exit\(3\)"),
        ("Negative", "weights from -1 to 1; 0 or more, not all 0, are expected"),
    ],
)
def test_a_rule_that_chooses_what_is_not_there(run, file, name, message):
    source = f"{file}:{name}"
    with pytest.raises(ValueError, match=message) as error:
        FromFile(source=source, fraction=0.2, content=hash_of(source))(run, split(DATA))
    assert "\n" not in str(error.value)


DRAWS = """
import os
import random

import numpy as np
import torch


def Draws(fraction):
    def choose(run, split):
        os.chdir("/")
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        own = [torch.randperm(len(split.train))[0].item(), np.random.randint(100), random.randrange(100)]
        return torch.tensor(sorted({number % len(split.train) for number in own})), None
    return choose
"""


def test_what_a_rule_draws_is_that_of_seed_and_epoch_and_torch_is_as_before(run, file):
    file.write_text(DRAWS)
    source = f"{file}:Draws"
    rule, choices, folder = FromFile(source=source, fraction=0.2, content=hash_of(source)), [], os.getcwd()
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        expected = torch.random.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        choices.append(rule(run, split(DATA)).index.tolist())
        assert torch.equal(torch.random.get_rng_state(), expected[0])
        assert (np.random.get_state()[1].tolist(), random.getstate()) == expected[1:]  # noqa: NPY002
    assert choices[0] == choices[1]
    assert (torch.is_grad_enabled(), torch.get_default_dtype(), os.getcwd()) == (True, torch.float32, folder)


MEDDLES = """
import torch
from torch.nn import functional as F


def Meddles(fraction):
    def choose(run, split):
        run.net.eval().body[0].train()
        x, y = split.train.batch(torch.arange(4), 0)
        F.cross_entropy(run.net(x), y).backward()
        assert run.net.head.weight.grad.abs().max() < 100
        return torch.arange(4)
    return choose
"""


def test_a_rule_leaves_neither_modes_nor_gradients_in_the_network(run, file):
    """A layer that it has put into evaluation mode would stay there in all later epochs of the training."""
    file.write_text(MEDDLES)
    source, modes = f"{file}:Meddles", [module.training for module in run.net.modules()]
    for p in run.net.parameters():
        p.grad = torch.full_like(p, 1e3)
    FromFile(source=source, fraction=0.2, content=hash_of(source))(run, split(DATA))
    assert [module.training for module in run.net.modules()] == modes
    assert all((p.grad == 1e3).all() for p in run.net.parameters())


CHANGES = {
    "run.net.get_parameter(next(iter(run.net.state_dict()))).data.zero_()": r"\w+(\.\w+)* of the network",
    "run.net.requires_grad_(False)": r"\w+(\.\w+)* of the network",
    "run.net.register_forward_hook(lambda *a: None)": "modules or hooks of the network",
    "split.train.images.numpy()[0] = 0": "images of the training data",
    "split.train.labels.zero_()": "labels of the training data",
}


@pytest.mark.parametrize(("line", "what"), CHANGES.items(), ids=CHANGES)
def test_a_rule_that_does_more_than_to_choose(run, file, line, what):
    """Its row would be of another network, or of other data, than the rows beside it."""
    body = f"        {line}\n        return torch.arange(3)\n"
    file.write_text(f"import torch\ndef Bad(fraction):\n    def f(run, split):\n{body}    return f\n")
    own = split(replace(DATA, images=DATA.images.clone(), labels=DATA.labels.clone()))
    with pytest.raises(ValueError, match=f"rules.py:Bad: changes {what}; a rule chooses alone"):
        FromFile(source=f"{file}:Bad", fraction=0.2, content=hash_of(f"{file}:Bad"))(run, own)


def test_weights_that_carry_a_graph_are_taken_without_it():
    choice = (torch.arange(3), torch.ones(3, requires_grad=True))
    assert not checked(choice, 3, torch.device("cpu"), "it returns").weight.requires_grad
    for wrong in ((torch.arange(3), torch.ones(3, dtype=torch.complex64)), torch.arange(3, device="meta")):
        with pytest.raises(ValueError, match=r"^it returns [^\n]* expected$"):
            checked(wrong, 3, torch.device("cpu"), "it returns")


def test_sources_that_are_none(tmp_path):
    (tmp_path / "broken.py").write_text("1 +")
    for source, message in {
        "rules.py": "file.py:Name or module:Name is expected",
        f"{tmp_path}/nowhere.py:First": "no such file",
        "leanat.nowhere:First": "ModuleNotFoundError",
    }.items():
        with pytest.raises(ValueError, match=message):
            hash_of(source)
    with pytest.raises(ValueError, match="SyntaxError"):
        load(f"{tmp_path}/broken.py:First")


OWN = """
import torch

class Own:
    def __init__(self, fraction):
        self.fraction = fraction

    def __call__(self, run, split):
"""
PLAIN = """
from __future__ import annotations
from dataclasses import dataclass
import sib

@dataclass
class Plain:
    n: int
"""


def own_rule(folder, returns, before=""):
    """A rule in a file of its own, which returns this."""
    folder.mkdir(exist_ok=True)
    (folder / "own.py").write_text(before + OWN + f"        return {returns}\n")
    return f"{folder}/own.py:Own"


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        ("(torch.arange(3),)", "returns a tuple of 1; the numbers of the examples to keep"),
        ("[0, 1, 2]", "returns a list of 3; the numbers of the examples to keep"),
        ("torch.arange(2), [1.0, 1.0]", r"returns as weights a list; a tensor \[2\] is expected"),
    ],
)
def test_what_a_rule_returns_is_named(run, tmp_path, returns, message):
    source = own_rule(tmp_path, returns)
    with pytest.raises(ValueError, match=message) as error:
        FromFile(source=source, fraction=0.2, content=hash_of(source))(run, split(DATA))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("class Own:\n    pass", r"cannot be called with fraction=0.2 \(TypeError: Own\(\) takes no arguments\)"),
        ("def Own(fraction):\n    return 3", "gives int; what can be called with"),
    ],
)
def test_a_rule_that_cannot_be_made_is_refused_before_anything_runs(tmp_path, code, message):
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(ValueError, match=message):
        load(f"{tmp_path}/own.py:Own").chooser(0.2)


def test_a_rule_is_a_dataclass_with_modules_beside_it(run, tmp_path):
    """Each file has its own ``sib.py``, whose version is part of the rule's identity."""
    sources = [own_rule(tmp_path / name, "torch.arange(Plain(sib.COUNT).n)", PLAIN) for name in ("a", "b")]
    for name, count in (("a", 2), ("b", 13)):
        (tmp_path / name / "sib.py").write_text(f"COUNT = {count}\n")
    first = [hash_of(source) for source in sources]
    assert first[0] != first[1], "the same file beside another module"
    assert [hash_of(source) for source in sources] == first
    for source, content, count in zip(sources, first, (2, 13), strict=True):
        run.live.clear()
        assert FromFile(source=source, fraction=0.2, content=content)(run, split(DATA)).index.tolist() == [
            *range(count)
        ]
    (tmp_path / "b" / "sib.py").write_text("COUNT = 17.0\n")
    with pytest.raises(ValueError, match="the file changed since"):
        FromFile(source=sources[1], fraction=0.2, content=first[1])(run, split(DATA))


def test_files_that_a_rule_names_are_part_of_it(run, tmp_path, monkeypatch):
    """Scores computed before: beside the rule, where the program runs, and those that a module beside it names."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    source = own_rule(
        tmp_path / "there", "beside.index()", "import beside\n\nTEXT = 'so.npy' * 9, 'a\\0b', 300 * 'x', '', '.'\n"
    )
    (tmp_path / "there" / "beside.py").write_text(f"import torch\nNAMES = 'data/a.npy', '{'b' * 300}'\n" + LATE % 4)
    (tmp_path / "there" / "data").mkdir()
    found = {hash_of(source)}
    for number, name in enumerate(("there/data/a.npy", "here/so.npy", "there/so.npy"), 2):
        (tmp_path / name).write_bytes(b"1")
        found.add(hash_of(source))
        (tmp_path / name).write_bytes(b"2")
        found.add(last := hash_of(source))
        assert len(found) == 2 * number - 1, name
    assert hash_of(source) == last
    (tmp_path / "there" / "unnamed.npy").write_bytes(b"1")
    assert hash_of(source) == last
    assert len(FromFile(source=source, fraction=0.2, content=last)(run, split(DATA)).index) == 4
    (tmp_path / "there" / "data" / "a.npy").write_bytes(b"3")
    with pytest.raises(ValueError, match="the file changed since"):
        FromFile(source=source, fraction=0.2, content=last)(run, split(DATA))


def test_a_rule_that_fails_says_where(run, tmp_path):
    """In the user's own code: the line that called what failed, also in a file beside it."""
    source = own_rule(tmp_path, "split.trein")
    with pytest.raises(ValueError, match=r"own.py:Own: .*own.py, line 9: AttributeError: .*'trein'"):
        FromFile(source=source, fraction=0.2, content=hash_of(source))(run, split(DATA))
    run.live.clear()
    source = own_rule(tmp_path, "beside.index()", "import beside\n")
    (tmp_path / "beside.py").write_text("import torch\n\n\ndef index():\n    return torch.zeros(2) @ torch.zeros(3)\n")
    with pytest.raises(ValueError, match=r"own.py:Own: .*beside.py, line 5: RuntimeError: ") as error:
        FromFile(source=source, fraction=0.2, content=hash_of(source))(run, split(DATA))
    assert "\n" not in str(error.value)


LATE = "import torch\n\n\ndef index():\n    return torch.arange(%d)\n"


def test_a_rule_imports_when_it_is_called(run, tmp_path):
    """What it imports then is part of its identity, and so is what that imports."""
    body = "self.index()\n\n    def index(self):\n        from beside import index\n\n        return index()"
    source = own_rule(tmp_path, body)
    (tmp_path / "beside.py").write_text("def index():\n    from parts import last\n\n    return last.index()\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "last.py").write_text("from .more import index\n")
    (tmp_path / "parts" / "more.py").write_text(LATE % 4)
    first = hash_of(source)
    assert len(FromFile(source=source, fraction=0.2, content=first)(run, split(DATA)).index) == 4
    code = own_code.load(source.rpartition(":")[0])
    before = code.files()
    importlib.import_module("parts.last")
    assert code.files() == before, "imported or not"
    (tmp_path / "parts" / "more.py").write_text(LATE % 5)
    assert hash_of(source) != first
    with pytest.raises(ValueError, match="the file changed since"):
        FromFile(source=source, fraction=0.2, content=first)(run, split(DATA))


def test_an_import_without_a_statement_is_refused(run, tmp_path):
    """Nobody would know that another version of that file makes another run."""
    source = own_rule(tmp_path, "__import__('be' + 'side').index()")
    (tmp_path / "beside.py").write_text(LATE % 4)
    with pytest.raises(ValueError, match=r"own.py:Own: imports .*beside.py by no import statement"):
        FromFile(source=source, fraction=0.2, content=hash_of(source))(run, split(DATA))
