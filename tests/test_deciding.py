"""What ``leanat decide`` does next: the most claims per minute, nothing for what is decided or past hope."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from leanat import cli, deciding
from leanat.core.errors import ConfigError
from leanat.experiments.claim import Claim, every
from leanat.plan import looks, structure
from leanat.report.claims import Line
from leanat.runs import signals

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def grid():
    return structure.load(ROOT / "config", {"papers": ["sat"], "scale": "demo"})


def line(name, item, verdict="inconclusive", **chances):
    cases = [{"a": (item, "r", "c")}]
    claim = Claim(name, "s", "t", "ordering", cases, lambda a: a, every(above=0))
    return Line(claim, "demo", verdict, chances={int(k[1:]): v for k, v in chances.items()})


def finished(results, grid, item, seconds):
    """All runs and attacks of an item, of so many seconds each."""
    for run in grid.items[item].all_runs:
        (results / "runs" / run / "suites").mkdir(parents=True, exist_ok=True)
        (results / "runs" / run / "metrics.json").write_text(json.dumps({"wall_seconds": seconds, "threads": 1}))
    for evaluation in grid.items[item].evaluations:
        (results / "runs" / f"{evaluation}.json").write_text(json.dumps({"attacks": {"pgd": {"seconds": seconds}}}))


def test_a_seed_costs_what_the_finished_ones_did(grid, tmp_path):
    finished(tmp_path, grid, "sat/figure8", 30)
    prices = deciding.Prices(grid, tmp_path)
    parts = len(grid.items["sat/figure8"].all_runs) + len(grid.items["sat/figure8"].evaluations)
    assert prices.minutes(["sat/figure8"], 1) == 0, "all there"
    assert prices.minutes(["sat/figure8"], 3) == pytest.approx(2 * parts * 0.5)
    assert prices.minutes(["sat/figure8", "sat/figure8"], 3) == prices.minutes(["sat/figure8"], 3)


def test_another_seed_is_the_same_run(grid):
    """Upstream runs have the seed in their names too."""
    more = structure.load(ROOT / "config", {"papers": ["sat"], "more_seeds": {"sat/figure8": 3}})
    one, three = deciding.Prices(grid, Path("nowhere")), deciding.Prices(more, Path("nowhere"))
    assert one.parts["sat/figure8"] == three.parts["sat/figure8"]


def test_the_most_claims_per_minute_come_first_and_the_hopeless_never(grid, tmp_path):
    for item in ("sat/figure4", "sat/figure8", "sat/figure7"):
        finished(tmp_path, grid, item, 30)
    prices, seeds = deciding.Prices(grid, tmp_path), dict.fromkeys(grid.items, 1)
    lines = [
        line("sat-01", "figure4", "not decidable", n3=0.5, n5=0.6),
        line("sat-02", "figure8", "not decidable", n3=0.9),
        line("sat-03", "figure8", "not decidable", n3=0.8),
        line("sat-04", "figure7", "not decidable", n3=0.01, n5=0.02),
        line("sat-05", "figure7", "supported", n3=1.0),
    ]
    first, second = deciding.candidates(lines, seeds, prices)
    assert (first.items, first.look, first.claims) == (("sat/figure8",), 3, ("sat-02", "sat-03"))
    assert first.decided == pytest.approx(1.7)
    assert second.claims == ("sat-01",)
    assert deciding.candidates([replace(x, verdict="supported") for x in lines], seeds, prices) == []


def test_a_claim_that_needs_a_late_look_goes_there_step_by_step(grid, tmp_path):
    """Its chance at the next look is nothing; what counts is the chance at the last, for all that it costs."""
    finished(tmp_path, grid, "sat/figure8", 30)
    (one,) = deciding.candidates(
        [line("sat-01", "figure8", n5=0.0, n20=0.9)],
        {"sat/figure8": 3},
        prices := deciding.Prices(grid, tmp_path),
    )
    assert one.look == 5
    assert one.decided / one.minutes == pytest.approx(0.9 / prices.minutes(["sat/figure8"], 20))
    assert deciding.candidates([line("sat-01", "figure8", n20=0.9)], {"sat/figure8": 20}, prices) == []


def test_a_raise_is_for_the_claims_whose_items_it_raises(grid, tmp_path):
    """One claim reads two items, one of which has more seeds; the other claim is on that one alone."""
    for item in ("sat/figure4", "sat/figure8"):
        finished(tmp_path, grid, item, 30)
    both = line("sat-01", "figure4", n5=0.9)
    cases = [{"a": ("figure4", "r", "c")}, {"a": ("figure8", "r", "c")}]
    both = replace(both, claim=replace(both.claim, cases=cases))
    seeds = {"sat/figure4": 8, "sat/figure8": 3}
    lines = [both, line("sat-02", "figure4", n12=0.9)]
    found = {r.items: r.claims for r in deciding.candidates(lines, seeds, deciding.Prices(grid, tmp_path))}
    assert found == {("sat/figure8",): ("sat-01",), ("sat/figure4",): ("sat-02",)}


def test_nothing_to_make_starts_no_workflow(monkeypatch):
    monkeypatch.setattr(
        deciding.subprocess, "Popen", lambda *a, **k: pytest.fail("Snakemake without a target makes everything")
    )
    deciding.workflow([], 2, [], None)


def test_a_round_is_no_longer_than_its_share():
    raises = [deciding.Raise((str(k),), 3, ("c",), 1.0, minutes) for k, minutes in enumerate((30, 50, 5, 20))]
    assert [one.minutes for one in deciding.choose(raises, 40)] == [30, 5]
    assert [one.minutes for one in deciding.choose(raises, 1)] == [30], "one at least"


def test_nothing_is_done_in_a_dry_run(tmp_path, capsys, caplog):
    where = ["--results", str(tmp_path), "--config-dir", str(ROOT / "config"), "--set", "scale=demo"]
    assert cli.main(["decide", "sat", "--dry-run", *where]) == 0
    assert re.search(r"0 of \d+ claims decided", caplog.text)
    assert re.search(r"first of all, whatever the hours: .*sat/figure2", caplog.text)
    assert looks.read(tmp_path, "demo") == {}
    assert cli.main(["decide", "sta", "--dry-run", *where]) == 1
    assert "no paper 'sta'; did you mean sat" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("profile", "where"), [(None, ["--cores", "2"]), ("slurm", ["--workflow-profile", "slurm", "--jobs", "2"])]
)
def test_the_workflow_gets_the_user_s_settings_and_profile(monkeypatch, profile, where):
    seen = []
    ended = SimpleNamespace(poll=lambda: 1, returncode=1)
    monkeypatch.setattr(deciding.subprocess, "Popen", lambda command, **_: seen.append(command) or ended)
    with pytest.raises(ConfigError, match="the same command goes on from there"):
        deciding.workflow(["sat/figure8"], 2, ["scale=demo", "results=r"], profile)
    assert seen[0][3:] == ["figures/sat/figure8.pdf", *where, "--config", "scale=demo", "results=r"]


def test_jobs_of_a_round_know_that_signals_come_twice(monkeypatch):
    """From the cluster, which signals every process, and from here: the second would end them without a checkpoint."""
    ended = SimpleNamespace(poll=lambda: 0, returncode=0)
    monkeypatch.setattr(deciding.subprocess, "Popen", lambda command, env, **_: env[signals.HANDED_ON] and ended)
    deciding.workflow(["sat/figure8"], 2, [], None)


def test_the_command_line_hands_over_settings_and_profile(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        deciding, "decide", lambda load, papers, results, root, hours, make, cores: make(["sat/figure8"])
    )
    monkeypatch.setattr(deciding, "workflow", lambda *what: seen.append(what))
    monkeypatch.chdir(ROOT)
    where = ["--results", str(tmp_path), "--config-dir", str(ROOT / "config"), "--set", "scale=demo"]
    assert cli.main(["decide", *where, "--cores", "3", "--workflow-profile", "slurm"]) == 0
    assert seen == [(["sat/figure8"], 3, ["scale=demo", f"results={tmp_path}"], "slurm")]


def test_it_is_refused_where_snakemake_would_find_no_workflow(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(deciding, "decide", lambda *_: pytest.fail("begun"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["decide", "--config-dir", str(ROOT / "config"), "--set", "scale=demo"]) == 1
    assert capsys.readouterr().err == f"leanat: decide: the workflow runs in its checkout alone; first: cd {ROOT}\n"


def test_it_does_not_plan_by_a_configuration_that_the_workflow_does_not_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(deciding, "decide", lambda *_: pytest.fail("begun"))
    for name in ("config", "other"):
        shutil.copytree(ROOT / "config", tmp_path / name)
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["decide", "--config-dir", "other", "--results", "results"]) == 1
    said = "leanat: decide: --config-dir other: the workflow reads config alone; other settings: --set KEY=VALUE\n"
    assert capsys.readouterr().err == said


def test_rounds_go_on_until_nothing_is_left_to_decide(grid, tmp_path, monkeypatch):
    """A claim that is decided at five seeds, and one past hope: two rounds, each kept before it begins."""
    finished(tmp_path, grid, "sat/figure8", 1)

    def load():
        return structure.load(ROOT / "config", {"papers": ["sat"], "scale": "demo"}, tmp_path)

    def judged(*_):
        seeds = looks.read(tmp_path, "demo").get("sat/figure8", 1)
        verdict = "supported" if seeds >= 5 else "not decidable"
        return [[line("sat-01", "figure8", verdict, n3=0.2, n5=0.9), line("sat-02", "figure8", n20=0.01)]]

    made = []
    monkeypatch.setattr(deciding, "_ledger", judged)
    deciding.decide(load, ["sat"], tmp_path, ROOT, 1.0, made.append, 1)
    assert made[1:] == [["sat/figure8"], ["sat/figure8"]]
    assert looks.read(tmp_path, "demo") == {"sat/figure8": 5}
    deciding.decide(load, ["sat"], tmp_path, ROOT, 1.0, made.append, 1)  # the same command again
    assert len(made) == 4, "only what is asked for first"


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 75), (signal.SIGINT, 130), (signal.SIGHUP, 75)],
    ids=["terminated", "Ctrl-C", "terminal closed"],
)
def test_asked_to_stop_it_leaves_no_job_running(tmp_path, number, status):
    (tmp_path / "snakemake.py").write_text(
        "import pathlib, subprocess, sys\n"
        "job = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('job').write_text(str(job.pid))\n"
        "job.wait()\n"
    )
    words = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests may run under nohup
    words += "from leanat import deciding; deciding.workflow(['qtart/table1'], 1, ['seeds=1'], None)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[1:]])}
    process = subprocess.Popen([sys.executable, "-c", words], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and not ((tmp_path / "job").is_file() and (tmp_path / "job").read_text()):
        time.sleep(0.02)
    job = psutil.Process(int((tmp_path / "job").read_text()))
    process.send_signal(number)
    assert process.wait(30) == status
    assert not psutil.wait_procs([job], timeout=10)[1]
