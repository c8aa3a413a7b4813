"""A real SLURM of one machine with two pretended GPUs runs the demo's Table 1 of a paper; one job is cancelled on the way.

It needs root, Debian's slurmctld, slurmd, slurm-client and munge, and the executor plugin, which it fetches for itself.
With LEANAT_SLURM=install (or CI set) it installs the Debian packages. What the cluster said is printed, and kept in
logs/test_slurm.txt.
"""

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "tests" / "slurm" / "cluster.sh"
PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
INSTALL = "apt-get install --yes --no-install-recommends " + " ".join(PACKAGES.values())
PLUGIN = ["snakemake-executor-plugin-slurm>=2.8", "snakemake-executor-plugin-slurm-jobstep", "throttler"]
PATIENCE = 780  # seconds


@pytest.fixture
def plugin(tmp_path_factory):
    """What PYTHONPATH needs for the plugin: it stays out of the environment, whose every start it would slow down."""
    if importlib.util.find_spec("snakemake_executor_plugin_slurm"):
        return ""
    folder = tmp_path_factory.mktemp("plugin")
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PLUGIN]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the SLURM plugin of Snakemake cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    return str(folder)


@pytest.fixture
def cluster(tmp_path):
    if os.getuid():
        pytest.skip("SLURM's daemons need root")
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if missing and os.environ.get("LEANAT_SLURM") != "install" and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}; `{INSTALL}`, or LEANAT_SLURM=install lets the test do it")
    if missing:
        done = subprocess.run(INSTALL.split(), capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"`{INSTALL}` failed: {done.stderr.strip()[-300:]}")
    started = subprocess.run([CLUSTER, "start", tmp_path / "slurm"], capture_output=True, text=True)
    try:
        if started.returncode:
            pytest.skip(f"no SLURM starts here: {(started.stderr or started.stdout).strip()[-300:]}")
        assert "CUDA_VISIBLE_DEVICES=0" in started.stdout
        yield started.stdout
    finally:
        subprocess.run([CLUSTER, "stop", tmp_path / "slurm"])


def said(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_table_1_through_a_cluster_that_takes_a_job_away(tmp_path, plugin, cluster):
    work = tmp_path / "work"
    words = [
        "figures/qtart/table1.pdf",
        "--workflow-profile",
        str(ROOT / "profiles" / "slurm"),
        "--directory",
        str(work),
    ]
    words += ["--snakefile", str(ROOT / "Snakefile"), "--group-components", "short_train0=1"]
    words += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
    words += ["--seconds-between-status-checks", "2", "--config", "seeds=1"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": plugin}
    evidence, seen, cancelled = [cluster], set(), None
    with open(tmp_path / "snakemake.txt", "w") as out:
        run = subprocess.Popen([sys.executable, "-m", "snakemake", *words], stdout=out, stderr=out, env=env)
        end = time.monotonic() + PATIENCE
        while run.poll() is None and time.monotonic() < end:
            for job in said("scontrol", "show", "job", "--details", "--oneliner").splitlines():
                if found := re.search(r"JobId=(\d+).*JobState=RUNNING.*GRES=gpu:1\(IDX:(\d)\)", job):
                    seen.add(found.groups())
            trained = [log for log in work.glob("logs/train/*.log") if "[2/" in log.read_text()]
            if trained and cancelled is None and len(seen) > 1:
                cancelled = sorted(seen)[0][0]
                evidence.append(said("squeue", "--format", "%.6i %.10T %.10M %.10l %.8m %.8C %b %k"))
                said("scancel", cancelled)
            time.sleep(1)
        if run.poll() is None:
            run.terminate()
    columns = "JobID:8,State:12,TimeLimit:12,MinMemory:10,tres-per-job:14,Comment:60"
    evidence += [
        said("squeue", "--states", "all", "--Format", columns),
        (tmp_path / "snakemake.txt").read_text()[-3000:],
    ]
    table = work / "figures" / "qtart" / "table1.csv"
    rows = [row for row in csv.DictReader(table.open()) if row["mean"]] if table.exists() else []
    evidence += [f"{row['row']}, {row['column']}: {row['mean']}" for row in rows]
    evidence.append(f"(job, GPU): {sorted(seen)}; cancelled: {cancelled}")
    text = "\n".join(evidence)
    print(text)
    (ROOT / "logs").mkdir(exist_ok=True)
    (ROOT / "logs" / "test_slurm.txt").write_text(text)

    assert run.returncode == 0, text
    assert len({gpu for _, gpu in seen}) == 2, "both GPUs were at work"
    assert cancelled, "no job was there to be cancelled"
    assert "CANCELLED" in evidence[2]
    assert "gpu:1" in evidence[2]
    assert len(rows) == 28, "four networks, seven ways of training"
    failed = list((work / "logs" / "slurm").rglob(f"{cancelled}.log"))
    assert failed, "the log of the job that failed is kept where the README says"
