"""The command line by hand: right words do the work, wrong ones get one clear line and a status that is not 0."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from grids import grid_of
from toys import record

from leanat import cli

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.chdir(ROOT)


def said(capsys, *words):
    status = cli.main(list(words))
    captured = capsys.readouterr()
    return status, captured.err


@pytest.mark.parametrize("words", [[], ["--help"], ["tabel"], ["train"], ["table"], ["train", "x", "--device"]])
def test_argparse_answers_itself(words):
    with pytest.raises(SystemExit) as error:
        cli.main(words)
    assert error.value.code == (0 if words == ["--help"] else 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "--set", "scale=dmeo"], "did you mean demo?"),
        (["check", "--set", "sclae=demo"], "unknown key 'sclae'; did you mean scale?"),
        (["check", "--set", "scale"], "--set scale: written KEY=VALUE"),
        (["check", "--config-dir", "nowhere"], "nowhere/config.yaml: no such file"),
        (["train", "digits-vgg"], "runs begin with 'digits-vgg' at scale demo; the nearest of"),
        (["train", "../../etc"], "no run '../../etc'"),
        (["table", "qtart/tabel1"], "no item 'qtart/tabel1'; did you mean qtart/table1?"),
        (
            ["table", "qtart/table1", "--results", "nowhere"],
            "metrics.json: no such file; it is to hold the metrics of a finished run",
        ),
        (["figure", "qtart/table1"], "figure: qtart/table1 is a table: leanat table qtart/table1"),
        (["attack", "--suite", "qtart", "shapes10-vgg16"], "runs begin so: shapes10-vgg16_small-"),
        (["attack", "--suite", "qtrat", "x"], "no paper 'qtrat'; did you mean qtart?"),
        (["attack", "--suite", "qtart/main", "--model", "x.safetensors"], "x.safetensors: no such file"),
        (["collect", "nowhere.pdf", "--out", "x.pdf"], "nowhere.pdf"),
        (["cost", "qtrat"], "qtrat: no such target; did you mean qtart?"),
        (["cost", "all", "--scale", "dmeo"], "did you mean demo?"),
        (["overview", "qtart/tabel1"], "overview: no table 'qtart/tabel1'; did you mean qtart/table1?"),
        (["overview", "qtart/table1", "--results", "nowhere"], "qtart/table1.csv"),
        (["data", "nowhere", "--download", "cifra10"], "cifra10"),
    ],
)
def test_wrong_words_are_one_clear_line(capsys, words, message):
    status, err = said(capsys, *words)
    assert status == 1
    assert message in err
    assert all(line.startswith("leanat: ") for line in err.splitlines())
    assert "Traceback" not in err


def test_a_gpu_that_is_not_there(capsys, monkeypatch, tmp_path):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run = next(iter(grid_of().runs))
    status, err = said(capsys, "train", run, "--device", "cuda", "--results", str(tmp_path))
    assert status == 1
    assert "this machine has no GPU that torch can use; allowed here: auto, cpu" in err


def test_a_number_that_no_gpu_has(capsys, monkeypatch, tmp_path):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    run = next(iter(grid_of().runs))
    status, err = said(capsys, "train", run, "--device", "cuda:2", "--results", str(tmp_path))
    assert (status, err) == (
        1,
        "leanat: device: 'cuda:2' is asked for; allowed here: auto, cpu, cuda, cuda:0 to cuda:1\n",
    )


def test_a_config_of_another_program_is_not_read(monkeypatch, tmp_path):
    """Somebody's own project, in which the installed package attacks a network: a folder `config` is common."""
    (tmp_path / "package" / "checkout").mkdir(parents=True)
    (tmp_path / "package" / "checkout" / "config").symlink_to(ROOT / "config")
    (tmp_path / "project" / "config").mkdir(parents=True)
    (tmp_path / "project" / "config" / "config.yaml").write_text("defaults: [model: resnet]\n")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("LEANAT_CONFIG_DIR", raising=False)
    monkeypatch.setattr(cli.options, "__file__", str(tmp_path / "package" / "options.py"))
    assert cli.options.config_folder() == tmp_path / "package" / "checkout" / "config"
    monkeypatch.chdir(ROOT)
    assert cli.options.config_folder() == Path("config")


@pytest.mark.parametrize(("more", "gpus"), [([], 8), (["--device", "cuda:1"], 1), (["--devices", "3"], 3)])
def test_the_cost_is_shared_by_all_gpus_though_one_measures_it(monkeypatch, tmp_path, more, gpus):
    import torch

    from leanat.cost import costing
    from leanat.runs import devices

    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEANAT_GPUS", "8")
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    shown = lambda: len(os.environ.get("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7").split(","))  # noqa: E731
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", shown)
    counted = []
    monkeypatch.setattr(cli.options, "grid", lambda arguments: None)
    monkeypatch.setattr(costing, "cost", lambda *given: counted.append(given[-1]))
    assert cli.main(["cost", "table1", "--results", str(tmp_path), *more]) == 0
    assert counted == [gpus]


def test_real_data_without_a_folder(capsys, tmp_path):
    run = next(iter(grid_of("lite").runs))
    words = ["train", run, "--set", "scale=lite", "--results", str(tmp_path), "--device", "cpu"]
    status, err = said(capsys, *words)
    assert status == 1
    assert "cifar10" in err
    assert "data_dir" in err


@pytest.mark.parametrize("run", [".", "../mine", "../mine/"])
def test_a_folder_is_a_run_of_its_own_name_however_it_is_named(monkeypatch, tmp_path, run):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/spec.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "mine")
    arguments = cli.parser().parse_args(["train", run])
    assert cli.options.specs(arguments) == [("mine", {})]


def test_a_spec_that_is_not_json(capsys, tmp_path):
    (tmp_path / "spec.json").write_text("{")
    status, err = said(capsys, "train", str(tmp_path))
    assert status == 1
    assert "spec.json: not the spec of a run" in err


def test_damaged_metrics_are_named(capsys, tmp_path):
    item = grid_of().items["qtart/table1"]
    for run in item.runs:
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text('{"clean": ')
    status, err = said(capsys, "table", "qtart/table1", "--results", str(tmp_path))
    assert status == 1
    assert "metrics.json: not the metrics of a finished run" in err


def test_a_torchvision_that_does_not_fit_its_torch(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    status, err = said(capsys, "check")
    assert status == 1
    assert "torchvision does not load beside torch" in err
    assert "constraints.txt" in err


def test_check_and_data_speak(capsys, caplog):
    with caplog.at_level("INFO", logger="leanat"):
        assert cli.main(["check"]) == 0
        assert cli.main(["data"]) == 0
    assert "no problem found" in caplog.text
    assert "digits" in caplog.text
    assert "cifar10" in caplog.text


def settled(monkeypatch, *words):
    """What the verb ``words[0]`` is called with."""
    found = []

    def verb(arguments):
        found.append(arguments)

    verb.__name__ = words[0]
    monkeypatch.setattr(cli, words[0], verb)
    assert cli.main(list(words)) == 0
    return found[0]


@pytest.fixture
def unsaid(monkeypatch):
    """An environment that says nothing of places and settings."""
    for name in ("RESULTS", "DATA_DIR", "DEVICE", "DETERMINISTIC", "JOBS_PER_GPU", "SET", "CONFIG_DIR", "RUNNING"):
        monkeypatch.delenv(f"LEANAT_{name}", raising=False)


@pytest.fixture
def configured(tmp_path, monkeypatch, unsaid):
    """A folder whose configuration says other places than the usual ones."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    path = tmp_path / "config/config.yaml"
    text = path.read_text()
    for key, old, new in (
        ("results", "results", "of_file"),
        ("data_dir", "null", "/data"),
        ("device", "auto", "cpu"),
        ("deterministic", "false", "true"),
        ("jobs_per_gpu", "1", "3"),
    ):
        assert f"\n{key}: {old}\n" in text
        text = text.replace(f"\n{key}: {old}\n", f"\n{key}: {new}\n")
    path.write_text(text)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("verb", [["train", "x"], ["bench"]], ids=lambda words: words[0])
def test_where_things_lie_is_what_config_yaml_says(configured, monkeypatch, verb):
    found = settled(monkeypatch, *verb)
    assert (found.results, found.data_dir, found.device) == (Path("of_file"), "/data", "cpu")
    assert (found.deterministic, found.jobs_per_gpu) == (True, 3)


@pytest.mark.parametrize("verb", [["curves", "x"], ["watch"], ["table", "x"], ["decide"]], ids=lambda words: words[0])
def test_every_verb_reads_the_same_results(configured, monkeypatch, verb):
    assert settled(monkeypatch, *verb).results == Path("of_file")


def test_an_option_then_the_environment_then_a_setting(configured, monkeypatch):
    words = ["train", "x", "--set", "results=of_setting", "data_dir=/of/setting", "deterministic=false"]
    found = settled(monkeypatch, *words)
    assert (found.results, found.data_dir, found.deterministic) == (Path("of_setting"), "/of/setting", False)
    monkeypatch.setenv("LEANAT_RESULTS", "of_environment")
    monkeypatch.setenv("LEANAT_DATA_DIR", "")
    monkeypatch.setenv("LEANAT_DEVICE", "auto")
    found = settled(monkeypatch, *words, "--device", "cpu")
    assert (found.results, found.data_dir, found.device) == (Path("of_environment"), "", "cpu")
    assert settled(monkeypatch, *words, "--results", "of_option").results == Path("of_option")


def test_a_folder_by_month_is_no_fraction(configured, monkeypatch):
    found = settled(monkeypatch, "train", "x", "--set", "results=2026/11", "data_dir=1e5")
    assert (found.results, found.data_dir) == (Path("2026/11"), "1e5")


@pytest.mark.parametrize(
    ("word", "on"),
    [("1", True), ("true", True), ("Yes", True), ("", False), ("0", False), ("false", False), ("No", False)],
)
def test_a_word_of_the_environment_switches_on_or_off(unsaid, monkeypatch, tmp_path, word, on):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEANAT_DETERMINISTIC", word)
    assert settled(monkeypatch, "train", "x").deterministic is on


def test_a_word_that_is_neither_is_refused(unsaid, monkeypatch, capsys):
    monkeypatch.setenv("LEANAT_DETERMINISTIC", "perhaps")
    assert cli.main(["train", "x"]) == 1
    said = "LEANAT_DETERMINISTIC: 'perhaps' is not allowed; 1, true or yes, or 0, false, no or nothing"
    assert capsys.readouterr().err == f"leanat: {said}\n"


def test_without_a_configuration_the_usual_places(unsaid, monkeypatch, tmp_path):
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path)
    found = settled(monkeypatch, "train", "x")
    assert (found.results, found.data_dir, found.deterministic) == (Path("results"), "", False)


def test_settings_given_twice_count_both(unsaid, monkeypatch):
    found = settled(monkeypatch, "check", "--set", "seeds=1", "--set", "scale=paper", "papers=[sat]")
    grid = cli.options.grid(found)
    assert (grid.settings["seeds"], grid.settings["scale"], grid.settings["papers"]) == (1, "paper", ["sat"])


def test_the_settings_of_the_workflow_are_those_of_the_environment(configured, monkeypatch):
    monkeypatch.setenv("LEANAT_SET", '["seeds=2", "results=of_workflow"]')
    found = settled(monkeypatch, "check")
    assert (found.set, found.results) == (["seeds=2", "results=of_workflow"], Path("of_workflow"))


def test_the_table_by_hand(tmp_path):
    """Figures from a copy of finished runs: a mean and an interval that can be computed by hand."""
    grid = grid_of()
    item = grid.items["qtart/table1"]
    for i, run in enumerate(item.runs):
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        metrics = {
            "clean": {"accuracy": (90 + i % 3) / 100},
            "examples": {"test": 1197},
            "device": "CPU",
            "revision": "abc",
            "date": "2026-01-01T00:00:00+00:00",
        }
        (folder / "metrics.json").write_text(json.dumps(record(grid.runs[run].spec) | metrics))
    out = tmp_path / "figures" / "table1.pdf"
    out.parent.mkdir()
    assert cli.main(["table", "qtart/table1", "--results", str(tmp_path), "--out", str(out)]) == 0
    import pandas

    rows = pandas.read_csv(out.with_suffix(".csv"))
    ours = rows[rows["n"] == 3]
    assert ours["mean"].round(6).eq(91.0).all()
    assert ours["high"].sub(ours["mean"]).round(3).eq(2.484).all(), "t(0.975, 2) x 1 / sqrt(3)"
    assert out.read_bytes().startswith(b"%PDF")


def test_help_starts_fast_because_it_loads_no_torch():
    code = "import sys; from leanat import cli; cli.parser(); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize("verb", ["claims", "data"])  # one prints, the other logs
def test_a_reader_that_leaves_is_no_error(verb):
    words = [sys.executable, "-m", "leanat.cli", verb]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as done:
        done.stdout.close()
        assert done.stderr.read() == b""
    assert done.returncode == 141


def test_the_command_that_follows_a_workflow_may_be_pasted(tmp_path, caplog):
    assert cli.main(["workflow", str(folder := tmp_path / "new it's")]) == 0
    assert shlex.split(caplog.messages[-1].partition(";")[0]) == ["cd", str(folder)]


def test_every_argument_of_every_verb_has_help_and_the_kind_of_its_value():
    verbs = next(action for action in cli.parser()._actions if action.dest == "name").choices
    assert len(verbs) >= 22
    for name, verb in verbs.items():
        assert all(action.help for action in verb._actions), name
        assert "_" not in verb.format_usage(), name  # DATA_DIR and JOBS_PER_GPU were the names of variables


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_files_of_the_work(tmp_path, closed):
    """Python has None for them, and the first file that is opened would get their number."""
    program = "import os, sys; from leanat import cli; code = cli.main(['data']); os._exit(code + 2 * (sys.stdout.fileno() < 3))"
    assert (
        subprocess.run(f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} {closed}", shell=True).returncode == 2
    )


@pytest.mark.parametrize("words", [["data"], ["watch", "--once"]], ids=" ".join)  # one logs, the other prints
def test_a_full_disk_under_standard_output_is_named(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "leanat.cli", *words], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "leanat: [Errno 28] No space left on device: 'standard output'\n")
