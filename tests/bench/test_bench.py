"""A trial of rules that choose data: its settings, its runs, its verdicts, and a small one from end to end."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import ttest_rel
from toys import Small, make_run, split, toy

from leanat import cli
from leanat.bench import command, experiments, peers, settings, trials, verdicts
from leanat.bench.settings import METHODS, TRAININGS, Settings
from leanat.core import own_code
from leanat.core.errors import ConfigError
from leanat.plan import components, needed, structure
from leanat.runs import devices, signals
from leanat.selection.facility import facility_location
from leanat.selection.last_layer import gradients

ROOT = Path(__file__).parents[2]
MINE = "import math\n\nfrom leanat.selection.basic import everyone\n\n\n"


@pytest.fixture
def mine(tmp_path):
    """The rule of docs/bench.md as written there."""
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "bench.md").read_text(), re.M | re.S)
    path = tmp_path / "my_selector.py"
    path.write_text(MINE + code)
    return path


def test_what_the_command_line_leaves_out_is_that_of_the_file(tmp_path, monkeypatch):
    """The workflow gives its jobs the file alone."""
    (tmp_path / "bench.yaml").write_text("trainings: [trades]\nseeds: 3\nepochs: 2\nown: []\n")

    def seen(chosen, folder):
        raise ConfigError([repr(chosen)])

    monkeypatch.setattr(trials, "grid_of", seen)
    monkeypatch.chdir(tmp_path)
    for words, chosen in (
        ([], Settings(trainings=("trades",), seeds=3, epochs=2)),
        (["--seeds", "8"], Settings(trainings=("trades",), seeds=8, epochs=2)),
    ):
        arguments = cli.parser().parse_args(["bench", "--settings", "bench.yaml", *words])
        with pytest.raises(ConfigError, match=re.escape(repr(chosen))):
            command.run(arguments, lambda _: None)


def test_a_fraction_of_nothing_on_the_command_line_is_refused():
    arguments = cli.parser().parse_args(["bench", "--fraction", "0"])
    with pytest.raises(ConfigError, match=r"fraction: 0\.0 is not allowed; above 0, below 1"):
        command.run(arguments, lambda _: None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": ["digit"]}, "data: there is no 'digit'; did you mean digits?"),
        ({"methods": ["random", "gradmatch:class"]}, "did you mean grad_match:class?"),
        ({"methods": ["full", "craig:class"]}, "methods: random missing"),
        ({"methods": ["random", "craig:batch"]}, "methods: random:batch missing"),
        ({"trainings": []}, "trainings: nothing is not allowed"),
        ({"fraction": 1.5}, "fraction: 1.5 is not allowed; above 0, below 1"),
        ({"seeds": 0}, "seeds: 0 is not allowed"),
        ({"seeds": 100000}, "seeds: 100000 is not allowed; at most 1000"),
        ({"own": ["a/my.py:Mine", "b/my.py:Mine"]}, "own: a/my.py:Mine, b/my.py:Mine would both be 'Mine (my.py)'"),
        ({"own": ["my.py:Mine", "my.py:Mine"]}, "own: my.py:Mine, my.py:Mine would both be"),
        ({"methods": ["full", "random"]}, "methods: no rule to compare with chance"),
        ({"seeds": "five"}, "seeds: 'five' is not allowed; a number"),
        ({"own": ["my.py"]}, "own: 'my.py' is not allowed; file.py:Name or module:Name is expected"),
    ],
)
def test_wrong_settings_are_one_clear_line(given, message):
    with pytest.raises(ConfigError, match=re.escape(message).replace("'", ".")) as error:
        settings.read(None, given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("epochs", "choices", "said"), [(30, 7, 6), (30, 4, 4), (2, 4, 2)])
def test_the_page_says_how_often_a_rule_chose(epochs, choices, said):
    """Periods are whole epochs: 30 of them in 7 equal parts are 6 choices, one every 5 epochs."""
    trial = Settings(epochs=epochs, choices=choices)
    spec = experiments.spec_of(trial, {"data": "digits", "training": "standard", "method": "craig:class"}, {}, {})
    period = spec["method"]["selector"]["every"]["period"]
    assert sum(epoch % period == 0 for epoch in range(epochs)) == said
    caption = experiments.items_of(trial, "digits", ["random", "craig:class"])["digits"].caption
    assert f"chosen {said} times" in caption


@pytest.mark.parametrize("how", ["{}/rule.py:Mine", "rule:Mine"])
def test_the_workflow_knows_all_files_of_a_rule(tmp_path, monkeypatch, how):
    """The parts of a trial are made again after a change of any of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rule.py").write_text("import beside\nclass Mine: pass\n")
    (tmp_path / "beside.py").write_text("TABLE = 'scores.npy'\n")
    (tmp_path / "scores.npy").write_bytes(b"")
    assert {path.name for path in own_code.files_of(how.format(tmp_path))} == {"rule.py", "beside.py", "scores.npy"}


def test_the_file_of_the_workflow_is_the_default(tmp_path):
    assert settings.read(ROOT / "config" / "bench.yaml", {}) == Settings()
    (tmp_path / "x.yaml").write_text("sedes: 3\n")
    with pytest.raises(ConfigError, match="unknown key 'sedes'; did you mean seeds"):
        settings.read(tmp_path / "x.yaml", {})


def test_every_row_builds_and_differs_in_its_rule_alone(mine):
    chosen = Settings(data=("digits", "cifar10"), methods=tuple(METHODS), own=(f"{mine}:Mine",), seeds=1)
    paper = experiments.paper_of(chosen, lambda source: "12345678")
    for data in chosen.data:
        for training in TRAININGS:
            bare = []
            for method in paper.methods:
                spec = paper.spec({"data": data, "training": training, "method": method})
                whole = {"code": 3, "seed": 0} | spec | {"data": {"name": data} | spec["data"]}
                built = components.read(whole)
                assert built.method.hooks == built.method.extras
                rule = spec["method"].pop("selector")
                spec["method"].pop("extras")
                bare.append(spec)
                fraction = 1.0 if method == "full" else built.method.selector.inner.fraction
                assert (rule == "everything") == (method == "full")
                assert fraction == (1.0 if method == "full" else 0.1)
            assert all(spec == bare[0] for spec in bare)


def test_another_version_of_a_file_is_another_run(mine):
    chosen = Settings(trainings=("pgd",), methods=("random",), own=(f"{mine}:Mine",), seeds=2)
    first = trials.grid_of(chosen, None)
    mine.write_text(mine.read_text() + "\n# changed\n")
    second = trials.grid_of(chosen, None)
    assert len(first.runs) == 4
    assert len(first.runs.keys() & second.runs.keys()) == 2, "the random ones"


def test_a_rule_that_cannot_be_made_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "bare.py").write_text("class Bare:\n    pass\n")
    chosen = Settings(trainings=("pgd",), methods=("random",), own=(f"{tmp_path}/bare.py:Bare",), seeds=1)
    with pytest.raises(ValueError, match=r"cannot be called with fraction=0\.1"):
        trials.grid_of(chosen, None)


def test_parts_are_all_runs_once():
    grid = trials.grid_of(Settings(trainings=("pgd", "standard"), seeds=3), None)
    parts = [trials.runs_of(grid, (i, 4)) for i in range(4)]
    assert sorted(run for part in parts for run in part) == sorted(grid.runs)


def test_verdicts_are_those_of_paired_t_tests_at_planned_looks_by_holm():
    """Of six seeds, those at three and at five, with 40 and 25 % of the level."""
    rng = np.random.default_rng(0)
    random = rng.normal(50, 3, 6)
    rows = {
        "up": random + rng.normal(6, 0.5, 6),
        "down": random - rng.normal(8, 0.5, 6),
        "same": random + rng.normal(0, 2, 6),
    }
    by_seed = lambda values: dict(enumerate(values))  # noqa: E731
    found = {
        v.row: v
        for v in verdicts.compared({k: by_seed(v) for k, v in rows.items()}, dict.fromkeys(rows, by_seed(random)))
    }
    p = {
        name: min(1.0, *(ttest_rel(values[:n], random[:n]).pvalue / share for n, share in ((3, 0.4), (5, 0.25))))
        for name, values in rows.items()
    }
    order = sorted(p, key=p.get)
    adjusted, last = {}, 0.0
    for k, name in enumerate(order):
        last = adjusted[name] = max(last, min(1.0, (3 - k) * p[name]))
    for name, verdict in found.items():
        assert verdict.p == pytest.approx(adjusted[name], rel=1e-6)
        assert verdict.difference.mean == pytest.approx(np.mean(rows[name] - random))
    assert {name: v.verdict for name, v in found.items()} == {
        "up": "above chance",
        "down": "below chance",
        "same": "undecided",
    }


@pytest.mark.parametrize("sign", [1, -1])
def test_the_side_is_that_of_the_look_that_decided_and_all_seeds_confirm_it(sign):
    """Three seeds are 5 above, the next two 20 below: it was told as below chance, for the mean of all five."""
    random = {"x": dict.fromkeys(range(5), 50.0)}
    values = [50 + sign * gap for gap in (5, 5.1, 4.9, -20, -20)]
    (found,) = verdicts.compared({"x": dict(enumerate(values))}, random)
    assert found.p < 0.05
    assert found.verdict == "undecided"
    (found,) = verdicts.compared({"x": dict(enumerate(values[:3]))}, random)
    assert found.verdict == ("above chance" if sign > 0 else "below chance")


def test_a_difference_that_is_the_same_but_for_rounding_is_no_certain_one():
    """Two images of 1,197 in each of three seeds: the sign test says .25, two-sided."""
    random = [100 * right / 1197 for right in (300, 900, 1150)]
    rows = [100 * (right + 2) / 1197 for right in (300, 900, 1150)]
    assert np.std(np.subtract(rows, random)) > 0
    (found,) = verdicts.compared({"x": dict(enumerate(rows))}, {"x": dict(enumerate(random))})
    assert (found.verdict, found.p) == ("undecided", pytest.approx(0.25 / 0.4))


def test_one_seed_decides_nothing():
    (found,) = verdicts.compared({"x": {0: 90.0}}, {"x": {0: 10.0}})
    assert found.verdict == "undecided"
    assert found.difference.low is None


def test_false_verdicts_stay_below_five_percent_of_tables():
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        random = rng.normal(50, 3, 5)
        rows = {str(k): dict(enumerate(random + rng.normal(0, 2, 5))) for k in range(8)}
        found = verdicts.compared(rows, {key: dict(enumerate(random)) for key in rows})
        wrong += any(v.verdict != "undecided" for v in found)
    assert wrong <= 19  # 10 expected at most; 19 or more would come up in 1 of 200


@pytest.mark.parametrize("name", [pytest.param("Apricot", marks=pytest.mark.slow), "Submodlib"])  # numba compiles
def test_peers_choose_as_the_built_in_solver_does(name):
    pytest.importorskip({"Apricot": "apricot", "Submodlib": "submodlib"}[name], reason="pip install 'leanat[bench]'")
    data = toy(n=60, size=8)
    run = make_run(Small(seed=2))
    index, weight = getattr(peers, name)(fraction=0.2)(run, split(data))
    rows = gradients(run, data)
    assert data.labels[index].bincount().tolist() == [4, 4, 4]
    assert weight.sum() == 60
    for c in range(3):
        members = (data.labels == c).nonzero()[:, 0]
        similarity = torch.from_numpy(peers.similarities(rows[members]))
        ours, sizes = facility_location(rows[members], 4)
        theirs = torch.isin(members, index).nonzero()[:, 0]
        covered = [float(similarity[:, chosen].max(1).values.sum()) for chosen in (ours, theirs)]
        assert covered[1] == pytest.approx(covered[0], rel=1e-6)
        order = theirs.argsort()
        if torch.equal(theirs[order], ours.sort().values):
            own = torch.stack([weight[index == members[i]][0] for i in ours.tolist()])
            assert torch.equal(own, sizes)


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_small_trial_from_end_to_end(mine, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [
        "bench",
        "my_selector.py:Mine",
        "--data",
        "digits-copies",
        "--trainings",
        "pgd",
        "--seeds",
        "2",
        "--epochs",
        "1",
    ]
    words += ["--methods", "full", "random", "--jobs", "1", "--device", "cpu"]
    assert cli.main(words) == 0
    out = tmp_path / "figures" / "bench"
    metrics = {path.parent: json.loads(path.read_text()) for path in tmp_path.glob("results/runs/*/metrics.json")}
    assert len(metrics) == 6

    def robust(method):
        found = {}
        for folder, made in metrics.items():
            if f"-{method}-s" in folder.name:
                suite = json.loads((folder / "suites" / "bench-digits-copies.json").read_text())
                found[made["spec"]["seed"]] = 100 * suite["attacks"]["pgd20"]["accuracy"]
        return np.array([found[0], found[1]])

    table = {(r["row"].rpartition(" | ")[2], r["metric"]): r for r in rows_of(out / "digits-copies.csv")}
    assert float(table["Mine (my_selector.py)", "images"]["mean"]) == 54
    assert float(table["All data", "images"]["mean"]) == 540
    assert json.loads(table["Random", "robust"]["values"]) == pytest.approx(robust("random"))
    above = robust("mine_my_selector_py_") - robust("random")
    assert json.loads(table["Mine (my_selector.py)", "points"]["values"]) == pytest.approx(above)
    verdict = {r["method"]: r for r in rows_of(out / "digits-copies-verdicts.csv")}
    assert verdict.keys() == {"Mine (my_selector.py)"}
    assert float(verdict["Mine (my_selector.py)"]["above_random"]) == pytest.approx(above.mean())
    assert (out / "digits-copies.pdf").read_bytes().startswith(b"%PDF")
    assert (out / "digits-copies-above-random.png").is_file()
    specs = json.loads((out / "settings.json").read_text())
    assert {s["run"] for s in specs} == {folder.name for folder in metrics}
    for row in specs:
        name = row.pop("run")
        assert row == metrics[tmp_path / "results" / "runs" / name]["spec"]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/runs/*/finished.json")}
    assert cli.main(words) == 0
    assert made == {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/runs/*/finished.json")}
    mine.write_text("1 +")
    capsys.readouterr()
    assert cli.main(words) == 1
    assert "SyntaxError" in capsys.readouterr().err


def test_a_rule_that_keeps_more_than_random_gets_no_verdict(tmp_path, caplog, monkeypatch):
    """It would be above chance by what it keeps; the random subsets have a tenth."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.py").write_text(
        "import torch\n\n\nclass All:\n    def __init__(self, fraction):\n        self.most = None\n\n"
        "    def __call__(self, run, split):\n        return torch.arange(len(split.train))[: self.most]\n\n\n"
        "class One(All):\n    def __init__(self, fraction):\n        self.most = 60\n"
    )
    words = ["--trainings", "standard", "--seeds", "1", "--epochs", "1", "--jobs", "1", "--device", "cpu"]
    rules = ["bench", "rules.py:All", "rules.py:One", "--methods", "random", "--data", "digits-copies"]
    assert cli.main([*rules, *words]) == 0
    out, said = tmp_path / "figures" / "bench", "not comparable: keeps 540, random 54"
    assert re.search(f"All .*s  {said}\n", caplog.text)
    found = {row["method"]: row for row in rows_of(out / "digits-copies-verdicts.csv")}
    assert (found["All (rules.py)"]["verdict"], found["All (rules.py)"]["above_random"]) == (said, "")
    assert (found["One (rules.py)"]["verdict"], found["One (rules.py)"]["seeds"]) == ("undecided", "1")
    missing = {
        row["row"].rpartition(" | ")[2]: row["missing"]
        for row in rows_of(out / "digits-copies.csv")
        if row["metric"] == "points"
    }
    assert missing["All (rules.py)"] == said
    assert missing["One (rules.py)"] == ""


def test_each_process_of_a_trial_claims_a_gpu_of_its_own(monkeypatch, tmp_path):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEANAT_GPUS", "4")
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    words = ["bench", "--results", str(tmp_path / "results"), "--out", str(tmp_path / "out")]
    seen, claimed, counts = [], [], []

    class Child:
        returncode = 0

        def __init__(self, command, **_):
            seen.append((os.environ.get("CUDA_VISIBLE_DEVICES"), command[-1]))

        def poll(self):
            return 0

    def work(*_):
        """The next part begins while this one works."""
        claimed.append(shown := os.environ.pop("CUDA_VISIBLE_DEVICES", None))
        if len(claimed) < 4:
            assert cli.main([*words, "--part", f"{len(claimed) + 1}/4"]) == 0
        if shown is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = shown

    for name, new in {
        "trials.grid_of": lambda *_: SimpleNamespace(runs=dict.fromkeys("abcdefghijkl")),
        "trials.missing": lambda *_: list("abcdefghijkl"),
        "trials.work": work,
        "trials.subprocess.Popen": Child,
        "pages.write": lambda *_: [],
    }.items():
        monkeypatch.setattr(f"leanat.bench.{name}", new)
    for more in (["--jobs", "8"], [], ["--jobs-per-gpu", "2"], ["--device", "cuda:1"], ["--device", "cpu"]):
        seen.clear()
        claimed[:] = "???"
        assert cli.main([*words, *more]) == 0
        counts.append(len(seen) or "itself")
        assert all(shown is None and part == f"{k}/{len(seen)}" for k, (shown, part) in enumerate(seen, 1))
    cores = min(os.cpu_count(), 12)
    assert counts == [8, 4, 8, "itself", cores if cores > 1 else "itself"]
    claimed.clear()
    assert cli.main([*words, "--part", "1/4"]) == 0
    assert claimed == ["0", "1", "2", "3"]


def test_a_file_in_the_place_of_the_folder_is_named_before_anything_is_trained(monkeypatch, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    monkeypatch.setattr(trials, "grid_of", pytest.fail)
    assert cli.main(["bench", "--out", str(tmp_path / "out"), "--device", "cpu"]) == 1
    assert re.search(r"^leanat: .*File exists: .*out.$", capsys.readouterr().err)


def two_jobs(child, monkeypatch, folder):
    """The command of a trial of two runs, each in a process of its own, whose class is ``child``."""
    for name, new in {
        "trials.grid_of": lambda *_: SimpleNamespace(runs=dict.fromkeys("ab")),
        "trials.missing": lambda *_: list("ab"),
        "trials.subprocess.Popen": child,
    }.items():
        monkeypatch.setattr(f"leanat.bench.{name}", new)
    words = ["bench", "--jobs", "2", "--device", "cpu", "--results", folder, "--out", folder / "out"]
    return [*map(str, words)]


def test_parts_know_that_signals_come_twice(monkeypatch, tmp_path):
    """From the cluster, which signals every process, and from the process that started them."""

    class Child:
        returncode = 0

        def __init__(self, command, env, **_):
            assert env[signals.HANDED_ON]

        def poll(self):
            return 0

    monkeypatch.setattr("leanat.bench.pages.write", lambda *_: [])
    assert cli.main(two_jobs(Child, monkeypatch, tmp_path)) == 0


def test_a_part_that_fails_is_one_line(monkeypatch, tmp_path, capsys):
    class Child:
        returncode = 1

        def __init__(self, command, stdout, **_):
            stdout.write("training\nleanat: my.py: no such file\n\n")

        def poll(self):
            return 1

    words = two_jobs(Child, monkeypatch, tmp_path)
    assert cli.main(words) == 1
    log = tmp_path / "bench" / "part-1-of-2.log"
    assert capsys.readouterr().err == f"leanat: {log}: stopped: leanat: my.py: no such file\n"


def test_a_trial_that_is_stopped_says_that_it_goes_on(monkeypatch, tmp_path, caplog):
    ended = []

    class Child:
        returncode = 75

        def __init__(self, *_, **__):
            pass

        def poll(self):
            """The signal comes while it works."""
            if not ended:
                os.kill(os.getpid(), signal.SIGTERM)
            return 75 if ended else None

        def terminate(self):
            ended.append(self)

    words = two_jobs(Child, monkeypatch, tmp_path)
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    assert stopped.value.code == 75
    assert caplog.messages[-1] == "stopped; all is saved, the same command goes on from there"


def test_a_trial_is_settled_by_the_configuration_that_is_named(tmp_path, monkeypatch):
    """As every other verb."""
    seen = {}
    monkeypatch.setattr(command, "run", lambda arguments, torch: seen.update(vars(arguments)))
    shutil.copytree(ROOT / "config", tmp_path / "mine")
    file = tmp_path / "mine" / "config.yaml"
    file.write_text(re.sub(r"(?m)^results: .*$", "results: elsewhere", file.read_text()))
    assert cli.main(["bench", "--config-dir", str(tmp_path / "mine"), "--device", "cpu"]) == 0
    assert seen["results"] == Path("elsewhere")


@pytest.mark.slow
def test_several_processes_make_the_same_trial(mine, tmp_path):
    words = [
        "bench",
        "my_selector.py:Mine",
        "--trainings",
        "standard",
        "--seeds",
        "2",
        "--epochs",
        "1",
        "--methods",
        "random",
    ]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    made = []
    for jobs in ("1", "2"):
        more = ["--jobs", jobs, "--device", "cpu", "--results", jobs, "--out", f"out{jobs}"]
        subprocess.run([sys.executable, "-m", "leanat.cli", *words, *more], cwd=tmp_path, env=env, check=True)
        rows = rows_of(tmp_path / f"out{jobs}" / "digits.csv")
        made.append([r["values"] for r in rows if r["metric"] != "seconds"])
    assert made[0] == made[1]


@pytest.mark.slow
def test_the_workflow_makes_the_trial_in_parts(tmp_path):
    words = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--directory",
        str(tmp_path),
        "-n",
        "bench",
    ]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert re.search(r"bench_part +8\n", said)


def test_data_that_a_trial_lacks_are_missed_before_its_first_job():
    grid = structure.load(ROOT / "config", {"papers": ["qtart"]})
    needed.check_sets(("digits", "shapes10"), grid, None)
    with pytest.raises(ConfigError, match="data_dir is not set"):
        needed.check_sets(("digits", "cifar10"), grid, None)
