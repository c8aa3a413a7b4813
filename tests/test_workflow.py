"""Snakemake itself: dry runs at every scale, lint, wrong targets, and a small workflow from data to PDF."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]


def snakemake(folder, *words, **env):
    return subprocess.run(
        [*SNAKEMAKE, "--directory", str(folder), *words],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | env,
    )


@pytest.mark.usefixtures("shared_plans")
@pytest.mark.parametrize("scale", ["demo", "lite", "paper", "cpu"])
def test_a_dry_run_needs_no_data(tmp_path, scale):
    done = snakemake(tmp_path, "all", "-n", "--quiet", "--config", f"scale={scale}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("shared_plans")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["figures/qtart/tabel1.pdf", "-n"], "qtart has no item 'tabel1'; did you mean table1?"),
        (["figures/qtrat/table1.pdf", "-n"], "no paper 'qtrat'; did you mean qtart?"),
        (["figures/table2.pdf", "-n"], "no such target; did you mean table1?"),
        (["figures/overveiw.pdf", "-n"], "no such target; did you mean overview?"),
        (["figures/claim.pdf", "-n"], "no such target; did you mean claims?"),
        (["figures/qtart/tabel1.overview.pdf", "-n"], "qtart has no item 'tabel1'; did you mean table1?"),
        (["figures/advprune/figure1.overview.pdf", "-n"], "a figure draws the paper's values itself"),
        (["qtrat", "-n"], "qtrat: no such target; did you mean qtart?"),
        (["all", "-n", "--config", "scale=papr"], "did you mean paper?"),
        (["all", "-n", "--config", "scael=paper"], "unknown key 'scael'; did you mean scale?"),
        (["all", "-n", "--config", "seeds=0"], "seeds: 0 is not allowed"),
        (["all", "-n", "--config", "results="], "results: None is not allowed; expected str"),
        (["all", "-n", "--config", "results=5"], "results: 5 is not allowed; expected str"),
        (
            ["all", "-n", "--workflow-profile", "defualt"],
            "--workflow-profile defualt: no such profile; did you mean default?",
        ),
    ],
)
def test_wrong_words_name_what_exists(tmp_path, words, said):
    done = snakemake(tmp_path, *words)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_every_kind_of_setting_is_taken_from_the_command_line(tmp_path):
    """As config/README.md and docs/running.md write them; Snakemake itself leaves true, null and inner numbers as text."""
    words = ["deterministic=true", "other_counts=true", "seeds=null", "data_dir=null", "papers=[qtart]"]
    words += ["more_seeds={qtart/table9: 4}", "change={qtart: {sgd: {recipe.lr.lr: 0.05, recipe.nesterov: false}}}"]
    done = snakemake(tmp_path, "figures/qtart/table9.pdf", "-n", "--config", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    words[-1] = "change={qtart: {sgd: {recipe.lr.lr: fast}}}"
    done = snakemake(tmp_path, "figures/qtart/table9.pdf", "-n", "--config", *words)
    assert done.returncode != 0
    assert "lr 'fast'; allowed: a finite number" in done.stdout + done.stderr


def test_results_may_lie_in_this_very_folder(tmp_path):
    """Snakemake warns of every file whose path begins with ./ , more than a thousand."""
    done = snakemake(tmp_path, "figures/qtart/table9.pdf", "-n", "--config", "results=.", "papers=[qtart]")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "redundant" not in done.stdout + done.stderr


@pytest.mark.usefixtures("shared_plans")
def test_papers_without_a_table_1_are_made_without(tmp_path):
    """SAT has figures alone."""
    done = snakemake(tmp_path, "all", "-n", "--config", "papers=[sat]")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"^table1 +1$", done.stdout + done.stderr, re.M)
    done = snakemake(tmp_path, "figures/table1.pdf", "-n", "--config", "papers=[sat]")
    assert done.returncode != 0
    assert "figures/table1.pdf: none of these papers has a Table 1: sat" in done.stdout + done.stderr


@pytest.mark.parametrize("target", ["figures/claims.json", "figures/qtart/claims.json", "figures/bench/digits.pdf"])
def test_whatever_a_rule_makes_can_be_asked_for(tmp_path, target):
    done = snakemake(tmp_path, target, "-n", "--quiet", "--config", "papers=[qtart]")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_value_is_found_by_a_dry_run(tmp_path):
    """A field that only the component itself knows: found before the first job, not by the job."""
    import shutil

    for name in ("Snakefile", "workflow", "config", "profiles", "published", "src"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    path = tmp_path / "src/leanat/papers/qtart/experiments.py"
    text = path.read_text().replace('window: str = "last"', 'window: str = "lats"')
    assert text != path.read_text()
    path.write_text(text)
    words = ["-n", "figures/qtart/table1.pdf", "--directory", str(tmp_path), "--snakefile", str(tmp_path / "Snakefile")]
    done = subprocess.run([sys.executable, "-m", "snakemake", *words], capture_output=True, text=True)
    assert done.returncode != 0
    assert re.search(r"spec\.method\.selector\.once\.inner\.instability: .*lats", done.stdout + done.stderr)


@pytest.mark.usefixtures("shared_plans")
def test_a_trial_that_cannot_be_read_stops_those_alone_who_ask_for_it(tmp_path):
    import shutil

    for name in ("Snakefile", "config"):
        (shutil.copytree if name == "config" else shutil.copy)(ROOT / name, tmp_path / name)
    for name in ("workflow", "profiles", "published", "src"):
        (tmp_path / name).symlink_to(ROOT / name)

    def asked(*words):
        command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "--snakefile", str(tmp_path / "Snakefile")]
        done = subprocess.run([*command, "--directory", str(tmp_path), *words], capture_output=True, text=True)
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    path = tmp_path / "config" / "bench.yaml"
    for spoil, said in (
        (lambda: path.write_text("sedes: 3\n"), "did you mean seeds?"),
        (path.unlink, "bench.yaml: no such file"),
    ):
        spoil()
        assert asked("figures/qtart/table9.pdf")[0] == 0
        status, text = asked("bench")
        assert status != 0
        assert said in text


@pytest.mark.usefixtures("shared_plans")
def test_generated_rules_leave_no_names_behind(tmp_path):
    """Snakemake copies all of the workflow's names for each message of each job: with thousands that is minutes."""
    code = (
        "import sys, snakemake.jobs as jobs\n"
        "from snakemake.cli import main\n"
        "old = jobs.Job.format_wildcards\n"
        "def counted(self, *a, **k):\n"
        "    sys.stderr.write(f'NAMES {len(self.rule.workflow.globals)} RULES {len(list(self.rule.workflow.rules))}\\n')\n"
        "    return old(self, *a, **k)\n"
        "jobs.Job.format_wildcards = counted\n"
        "main()\n"
    )
    words = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path), "-n", "figures/qtart/table9.pdf"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    names, rules = map(int, re.search(r"NAMES (\d+) RULES (\d+)", done.stderr).groups())
    assert rules > 200
    assert names < 300


@pytest.mark.usefixtures("shared_plans")
def test_the_lock_of_a_killed_workflow_is_removed_as_snakemake_says(tmp_path):
    """It asks for ``--unlock`` alone, which names no number of cores."""
    lock = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("figures/qtart/table9.pdf\n")
    done = snakemake(tmp_path, "--unlock")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not lock.exists()


def test_lint_is_clean():
    done = subprocess.run([*SNAKEMAKE, "--lint"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_item_without_runs_from_the_workflow(tmp_path):
    words = ["figures/qtart/table9.pdf", "--cores", "1", "--config", "jobs_per_gpu=2"]
    done = snakemake(tmp_path, *words, LEANAT_GPUS="3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Provided resources:.*gpu.*\b6\b", done.stdout + done.stderr), "three GPUs, two jobs on each"
    for suffix in ("pdf", "png", "csv"):
        assert (tmp_path / "figures" / "qtart" / f"table9.{suffix}").stat().st_size
    assert (tmp_path / "results" / "items" / "demo" / "qtart" / "table9.csv").exists()
    again = snakemake(tmp_path, "figures/qtart/table9.pdf", "-n")
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.slow
def test_the_ledger_from_the_workflow(tmp_path):
    """Q-TART with the one item that needs no run: its claim has a verdict, the others say what is missing."""
    import csv
    import shutil

    for name in ("Snakefile", "workflow", "config", "profiles", "published", "src"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    path = tmp_path / "src/leanat/papers/qtart/experiments.py"
    text = path.read_text().replace("    items=ITEMS,\n", '    items={"table9": ITEMS["table9"]},\n')
    assert text != path.read_text()
    path.write_text(text)
    words = ["figures/qtart/claims.pdf", "--cores", "1", "--directory", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(tmp_path / "Snakefile"), *words],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with open(tmp_path / "figures" / "qtart" / "claims.csv", newline="") as file:
        found = {row["claim"]: row for row in csv.DictReader(file)}
    assert found["qtart-24"]["verdict"] == "supported"
    assert (found["qtart-24"]["cases"], found["qtart-24"]["cases_in_all"]) == ("9", "9")
    assert found["qtart-01"]["verdict"] == "not run yet"
    assert found["qtart-01"]["reason"] == "not made yet: figures/qtart/table1.pdf"
    assert (tmp_path / "figures" / "qtart" / "claims.pdf").read_bytes().startswith(b"%PDF")


def test_the_slurm_profile_says_again_what_the_default_one_says():
    """It replaces the default profile, it does not extend it."""
    default, slurm = (
        yaml.safe_load((ROOT / "profiles" / n / "profile.yaml").read_text()) for n in ("default", "slurm")
    )
    assert default.items() <= slurm.items()
    assert slurm["executor"] == "slurm"


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_every_key_of_a_profile_has_its_reason_above_it(name):
    lines = (ROOT / "profiles" / name / "profile.yaml").read_text().splitlines()
    group = "# As in the default profile, for the same reasons."
    for i, line in enumerate(lines):
        if re.match(r"[a-z]", line) and group not in lines[:i]:
            assert (
                lines[i - 1].startswith("#") or line.startswith("resources:") or line.startswith("set-resource-scopes:")
            )
