"""The command line: each verb reads inputs and writes output files, so that every job of the workflow also runs by hand.

Modules that need torch are imported by the verbs that need them: ``leanat --help`` starts in a moment.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import leanat
from leanat import options
from leanat.bench import command
from leanat.core.errors import ConfigError, did_you_mean, is_out_of_memory
from leanat.core.machine import usable_cores
from leanat.runs import devices, signals

log = logging.getLogger("leanat")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verb that ``argv`` names and returns the exit status.

    0: success. 1: errors that the user can mend, each in one line on standard error. 2: a wrong command line. 75 after SIGTERM
    and 130 after Ctrl-C, when finished work is saved. 141, as in a shell, when the reader of a pipe has ended.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller; the first file opened would take its place
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # streams that tests capture do not have it
            stream.reconfigure(errors="replace")  # a letter that the terminal cannot encode is printed as ?
    try:
        arguments = parser().parse_args(argv)
        options.settle(arguments)
    except ConfigError as error:  # in an environment variable or a setting
        print(*(f"leanat: {line}" for line in error.problems), sep="\n", file=sys.stderr)
        return 1
    logging.basicConfig(format="%(message)s", handlers=[_Lines(sys.stdout)])
    log.setLevel(logging.INFO)  # other packages log warnings only
    os.environ["MPLBACKEND"] = "agg"  # only files are written; Jupyter may have set a backend that opens windows
    if hasattr(arguments, "results"):
        os.environ["LEANAT_RUNNING"] = str(arguments.results / ".running")
    try:
        request = {k: getattr(arguments, k) for k in ("device", "jobs_per_gpu", "processes") if hasattr(arguments, k)}
        if "device" in request:
            arguments.gpus = devices.usable(arguments.device)  # counted before this process is limited to one GPU
        spreads = arguments.name == "bench" and command.spreads(arguments)
        with signals.ending(), nullcontext() if spreads else devices.claimed(**request):
            arguments.verb(arguments)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 141
    except (ConfigError, ValueError, OSError, RuntimeError) as error:
        if not _expected(error):
            raise
        print(*(f"leanat: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("leanat: interrupted; what is done is kept, the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def _print(text: str) -> None:
    """Prints to standard output. If that fails, such as on a full disk, the OSError names standard output, as with a log line."""
    try:
        print(text, flush=True)
    except OSError as error:
        error.filename = "standard output"
        raise


class _Lines(logging.StreamHandler):
    """Writes log lines to standard output. If that fails, as when the reader of a pipe has ended, the program ends too; logging
    by itself would print a traceback and go on.
    """

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(error := sys.exception(), OSError) and error.filename is None:
            error.filename = "standard output"
        raise


def _expected(error: Exception) -> bool:
    """Whether the error is one that the user can mend. Any other is a bug, and keeps its traceback."""
    if isinstance(error, OSError | ConfigError):
        return True
    if is_out_of_memory(error):
        return True
    return type(error).__module__.startswith("leanat") or type(error) in (ValueError, UnicodeDecodeError)


MORE = "leanat VERB --help lists the arguments of a verb; README.md and docs/ have examples."
RUN = "a finished run: its name, the beginning of it, or its folder"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="leanat", description="Lean adversarial training: five papers, replicated.", epilog=MORE
    )
    top.add_argument("--version", action="version", version=f"leanat {leanat.__version__}")
    verbs = top.add_subparsers(dest="name", required=True, metavar="VERB")

    config, results, run = options.config_options, options.results_option, options.run_options

    def verb(function: Any, text: str, *shared: Callable[[options.Add], None]) -> options.Add:
        """Adds a verb. ``shared``: functions that add options which several verbs have; help shows these below the verb's own.
        Returns the function that adds the verb's own arguments.
        """
        sub = verbs.add_parser(
            function.__name__.strip("_"), help=text, description=function.__doc__, formatter_class=options.Kinds
        )
        sub.set_defaults(verb=function, **{"results": None} if config in shared else {})
        group = sub.add_argument_group()
        for own in shared:
            own(group.add_argument)
        return sub.add_argument

    verb(check, "build the spec of every run, and report every problem of the configuration", config)
    add = verb(data, "list which data sets are found, which are missing, and how to get them", config)
    add("data_dir", nargs="?", type=options.path, help="folder of the data sets (default: data_dir of config.yaml)")
    add(
        "--need",
        nargs="+",
        metavar="NAME",
        help="check the files of these only; exit status 1 if one is missing or wrong",
    )
    add("--download", metavar="NAME", help="fetch one of torchvision's data sets into the folder first")
    add = verb(train, "train runs, or resume them from their last checkpoints", config, run)
    add("runs", nargs="+", metavar="RUN", help="a run, by the beginning of its name, or a folder with a spec.json")
    add("--processes", type=options.count, default=1, help="train on N GPUs together (default: 1)")
    add = verb(attack, "run a suite of attacks on trained networks", options.attack_options, config, run)
    add("runs", nargs="*", metavar="RUN", help="runs of the configuration, or folders of runs")
    add = verb(time_, "time a paper's steps, attacks and selections on an otherwise idle machine", config, run)
    add("paper", help="a paper, such as qtart")
    add("--batch", type=options.count, help="images per step (default: 4 on a CPU, the paper's number on a GPU)")
    add("--repeats", type=options.count, help="repeats of each measurement after a warm-up (default: 3, on a GPU 5)")
    add("--threads", type=options.count, default=usable_cores(), help="CPU threads (default: all)")
    add("--out", type=options.named(".json"), help="the JSON to write (default: <results>/timings/<paper>.json)")
    for function, text in ((table, "render a table from finished runs"), (figure, "draw a figure from finished runs")):
        add = verb(function, text, options.item_options, config, results)
        add("item", help="a table or figure of a paper, such as qtart/table1")
    add = verb(cost, "forecast the hours, disk space and memory that a target takes on this machine", config, run)
    add("target", help="a target of the workflow: figures/qtart/table1.pdf, a paper, table1, all")
    add("--scale", help="demo, cpu, lite or paper (default: that of config.yaml)")
    add("--deadline", type=options.hours, help="list the tables and figures that can be made in this time")
    add("--devices", type=options.count, help="number of cores or GPUs to use (default: all of this machine)")
    add = verb(overview, "draw the papers' values beside ours, for one table or for all on one page", config, results)
    add("item", nargs="?", help="a table, such as qtart/table1 (default: one line for each table and figure)")
    add("--out", type=options.named(".pdf"), help="the PDF to write, with a PNG beside it (default: in figures)")
    add = verb(claims, "say for each claim of the papers whether our numbers support it", config, results)
    add("papers", nargs="*", metavar="PAPER", help="only these (default: all)")
    add("--out", type=options.named(".pdf"), help="a PDF of the verdicts; CSV, JSON and PNG are written beside it")
    add = verb(decide, "train further seeds, where they decide the most claims per minute", config, results)
    add("papers", nargs="*", metavar="PAPER", help="only these (default: all)")
    add("--budget", type=options.hours, default=3.0, help="hours to spend on this machine (default: 3)")
    add("--cores", type=options.count, default=usable_cores(), help="number of cores to use (default: all)")
    text = "a workflow profile of Snakemake, such as slurm; --cores is then the number of jobs at once"
    add("--workflow-profile", metavar="NAME", help=text)
    add("--dry-run", action="store_true", help="list what would be trained, and train nothing")
    add = verb(runs, "list a paper's finished runs in a CSV: device, date and duration", config, results)
    add("paper", help="a paper, such as qtart")
    add("--out", type=options.named(".csv"), help="the CSV to write (default: in figures)")
    add = verb(site, "write web pages that link claims, table cells, runs and their curves", config, results)
    add("--figures", type=options.path, default=Path("figures"), help="the folder of the pictures (default: figures)")
    add("--out", type=options.path, default=Path("site"), help="the folder to write the pages to (default: site)")
    text = "write one zip that can be cited: numbers, verdicts, settings and outcomes, without networks"
    add = verb(archive, text, config, results)
    add("--figures", type=options.path, default=Path("figures"), help="folder of tables and figures (default: figures)")
    add("--out", type=options.named(".zip"), help="the zip to write (default: leanat-<scale>.zip)")
    add = verb(curves, "show the loss and the accuracies of runs by epoch", results)
    add("runs", nargs="+", metavar="RUN", help=RUN)
    add("--out", type=options.named(".pdf"), help="draw them into this PDF, with a PNG, an SVG and a CSV beside it")
    add = verb(diff, "compare two runs: the settings that differ, and their results", results)
    add("first", metavar="RUN", help=RUN)
    add("second", metavar="RUN", help="another finished run")
    add("--out", type=options.named(".md"), help="write the comparison to this Markdown file (.md)")
    add = verb(chosen, "show which examples a run trained on: how many of each class, and from which epoch on", results)
    add("run", metavar="RUN", help=RUN)
    add("--out", type=options.named(".csv"), help="write a CSV with every example, its class and its weight")
    add = verb(watch, "show epoch, loss and remaining time of every running job, every two seconds", results)
    add("--once", action="store_true", help="print this once and end")
    text = "compare data selection rules, your own included, with random subsets"
    verb(bench, text, command.add_options, options.config_option, run)
    add = verb(workflow, "write the workflow into a folder, for a package that was installed without its repository")
    add("folder", type=options.path, metavar="DIR", help="a folder that does not exist yet, or is empty")
    add = verb(readme, "write the findings in README.md from finished tables and figures of the demo", config, results)
    add("--replicated", action="store_true", help="only the findings from replicated/; those of the demo stay")
    add = verb(collect, "join PDF files into one")
    add("inputs", nargs="+", type=Path, metavar="PDF", help="the files, in order")
    add("--out", type=options.named(".pdf"), required=True, help="the PDF to write")
    return top


def _torch(arguments: argparse.Namespace) -> Any:
    """torch with one thread: with one, no bit of a result depends on the number of cores, and two per job are slower."""
    import torch

    torch.set_num_threads(1)
    if getattr(arguments, "deterministic", False) and torch.cuda.is_available():  # a CPU is, with one thread
        from leanat.core import precision

        precision.deterministic()
    return torch


def check(arguments: argparse.Namespace) -> None:
    """Builds the objects of every run's spec with torch, so that wrong fields and values are reported before anything is
    trained.

    Also names the claims that cannot be decided at this scale with its number of seeds (leanat decide adds seeds;
    docs/verdicts.md).
    """
    grid = options.grid(arguments)
    runs = grid.runs
    _torch(arguments)
    from leanat import checking
    from leanat.models import io

    io.package("torchvision")

    problems = checking.problems(grid, arguments.config_dir.parent / "published")
    if problems:
        raise ConfigError(problems)
    counts = len(runs), len(grid.items), len(grid.papers), grid.scale.name
    log.info("%d runs and %d items of %d papers at scale %s: no problem found", *counts)
    for line in _undecidable(grid):
        log.info("%s", line)


def _undecidable(grid: Any) -> list[str]:
    """A line for each reason why claims cannot be decided at the scale of the grid, with the claims."""
    from leanat.report import claims, decidable

    seeds, reasons = {run.id: run.spec["seed"] for run in grid.runs.values()}, {}
    for paper in grid.papers:
        for claim, reason in decidable.undecidable(claims.load(paper), grid.items, seeds, grid.scale.name):
            reasons.setdefault(reason, []).append(claim)
    return [f"{reason}: claims {', '.join(names)}" for reason, names in reasons.items()]


def data(arguments: argparse.Namespace) -> None:
    """Prints a line for each data set: found, or missing and how to get it. Exit status 1 if the folder holds none of them.

    Only the names of files are checked. For the data sets that --need names, checksums are compared too, and the numbers of
    images and classes with datasets.yaml (unless other_counts=true).
    """
    from leanat import data as sets
    from leanat.plan import settings

    folder, wanted = Path(arguments.data_dir) if arguments.data_dir else None, arguments.need
    wanted = wanted and ["cifar10" if name == "cifar10-tenth" else name for name in wanted]
    named = [*(wanted or []), *filter(None, [arguments.download])]
    if unknown := [name for name in named if not sets.is_data_set(name)]:
        raise ConfigError([f"data: no data set {unknown[0]!r}{did_you_mean(unknown[0], sets.NAMES)}"])
    if arguments.download:
        if folder is None:
            raise ConfigError([f"data: which folder to? leanat data DIR --download {arguments.download}"])
        sets.download(arguments.download, folder)
    elif folder is not None and not folder.is_dir():
        raise ConfigError([f"data: {folder}: no such folder"])
    places = [place for place in sets.survey(folder) if wanted is None or place.name in wanted]
    counts, configured = {}, wanted and (arguments.config_dir / "config.yaml").is_file()
    if configured and not settings.load(arguments.config_dir, options.overrides(arguments)).get("other_counts"):
        counts = settings.data_sets(arguments.config_dir)
    lost, wrong = [], []
    for place in places:
        try:
            if wanted and place.complete and place.path is not None:
                sets.examine(place.name, folder, counts.get(place.name))
        except sets.DataError as error:
            wrong.append(place.name)
            log.info("%-14s wrong    %s", place.name, str(error).removeprefix(f"{place.name}: "))
            continue
        if place.complete:
            log.info("%-14s found    %s", place.name, place.path or "comes with the package")
        else:
            lost.append(place.name)
            log.info("%-14s missing  %s; %s", place.name, place.missing, sets.how(place.name, folder))
    where = folder or "data_dir, which is not set"
    problems = [f"data: missing in {where}: {', '.join(lost)}"] if lost else []
    problems += [f"data: wrong in {where}: {', '.join(wrong)}"] if wrong else []
    if wanted and problems:
        raise ConfigError(problems)
    if folder is not None and not any(place.complete for place in places if place.path):
        raise ConfigError([f"data: {folder} holds none of these data sets"])


def watch(arguments: argparse.Namespace) -> None:
    """Reads the notes that jobs write while they work, including jobs on other machines that share the folder of results."""
    import time

    from leanat.runs import progress

    while True:
        lines = list(progress.running(arguments.results / ".running"))
        if not arguments.once and sys.stdout.isatty():
            print("\033[2J\033[H", end="")
        _print("\n".join(lines) or f"nothing works on {arguments.results} now")
        if arguments.once:
            return
        time.sleep(2)


def train(arguments: argparse.Namespace) -> None:
    """Trains each run in turn. The same command resumes where it was stopped; finished runs are not trained again."""
    specs = options.specs(arguments)
    _torch(arguments)
    from leanat.core import distributed
    from leanat.runs import training

    if arguments.processes > 1 and not distributed.launched():
        training.launch(arguments.processes)
    else:
        training.train_runs(specs, arguments)


def attack(arguments: argparse.Namespace) -> None:
    """Measures robust accuracy under each attack of a suite. An attack whose outcome is already saved is not run again."""
    grid = options.grid(arguments)
    paper, _, suite = arguments.suite.partition("/")
    suites = options.paper(grid, paper, f"--suite {arguments.suite}").suites
    if (suite or "main").partition("-after-")[0] not in suites:  # of a snapshot: coreset/gradients-after-7
        hint = did_you_mean(suite, suites)
        raise ConfigError([f"--suite {arguments.suite}: {paper} has no suite {suite or 'main'!r}{hint}"])
    if not (arguments.runs or arguments.model or arguments.network):
        raise ConfigError(["attack: which network? Name runs, or --model FILE with --network and --data"])
    if arguments.runs:
        options.of_runs(arguments)
    _torch(arguments)
    from leanat.runs import attacking

    if arguments.runs:
        attacking.attack_runs(grid, arguments.runs, f"{paper}-{suite or 'main'}", arguments)
    else:
        attacking.attack_file(grid, paper, suite or "main", arguments)


def time_(arguments: argparse.Namespace) -> None:
    """Times steps, attacks and selections at the paper's own settings on random images, for the time columns of tables."""
    grid = options.grid(arguments)
    usual = options.paper(grid, arguments.paper, "time").repeats
    _torch(arguments).set_num_threads(arguments.threads)
    from leanat.cost import timing

    out = arguments.out or arguments.results / "timings" / f"{arguments.paper}.json"
    timing.write(grid.timed(arguments.paper), out, arguments.device, arguments.batch, arguments.repeats, usual)
    log.info("%s", out)


def table(arguments: argparse.Namespace) -> None:
    """Writes a table as PDF, PNG and CSV, with the paper's numbers, those of committed replications, and those of your runs."""
    _item(arguments, ("table", "formula"))


def figure(arguments: argparse.Namespace) -> None:
    """Writes a figure as PDF, PNG and CSV, with your runs, and the paper's values as open markers where they are known."""
    _item(arguments, ("figure",))


def _item(arguments: argparse.Namespace, kinds: tuple[str, ...]) -> None:
    from leanat.report import counts, formats, items, keeping

    grid = options.grid(arguments)
    if arguments.replicate and grid.settings.get("change"):
        raise ConfigError(["--replicate: keeps the papers' settings; allowed: without change"])
    items_by_name = {name: item for name, item in grid.items.items() if item.kind in kinds}
    if arguments.item not in items_by_name:
        if other := grid.items.get(arguments.item):
            verb = "figure" if other.kind == "figure" else "table"
            raise ConfigError([f"{arguments.name}: {arguments.item} is a {verb}: leanat {verb} {arguments.item}"])
        raise ConfigError(
            [f"{arguments.name}: no item {arguments.item!r}{did_you_mean(arguments.item, items_by_name)}"]
        )
    item, root = items_by_name[arguments.item], arguments.config_dir.parent
    out = arguments.out or Path("figures") / f"{item.name}.pdf"
    counts.check(item, grid, arguments.results, keep=arguments.replicate)
    if arguments.replicate:
        keeping.keep(item, arguments.results, root / "replicated")
        item = keeping.at_hand(item, arguments.results)
    items.make(item, arguments.results, root / "published", root / "replicated", out, arguments.keep)
    log.info("%s", out)
    for suffix in arguments.format:
        filled = items.fill(item, arguments.results, root / "published", root / "replicated")
        log.info("%s", formats.write(filled, out.with_suffix(""), suffix))


def cost(arguments: argparse.Namespace) -> None:
    """Measures a few steps of each kind that the target needs, and adds up the jobs, hours, disk space and memory."""
    if arguments.scale:
        arguments.set = [*arguments.set, f"scale={arguments.scale}"]
    grid = options.grid(arguments)
    _torch(arguments)
    from leanat.cost import costing
    from leanat.runs import experiment

    device = experiment.device_of(arguments.device)
    here = usable_cores() if device.type == "cpu" else arguments.gpus
    costing.cost(grid, arguments.target, arguments.results, device, arguments.deadline, arguments.devices or here or 1)


def overview(arguments: argparse.Namespace) -> None:
    """Draws a table's values and the paper's as dots; without an item, how well all tables and figures keep the orderings."""
    from leanat.report import item_csv, overview, summary

    grid = options.grid(arguments)
    kept = arguments.results / "items" / grid.scale.name
    if arguments.item is None:
        out = arguments.out or Path("figures/overview.pdf")
        summary.write(grid.items.values(), kept, arguments.config_dir.parent / "replicated", out.with_suffix(""))
    else:
        tables = [name for name, item in grid.items.items() if item.kind != "figure"]
        if arguments.item not in tables:
            raise ConfigError([f"overview: no table {arguments.item!r}{did_you_mean(arguments.item, tables)}"])
        out = arguments.out or Path("figures") / f"{arguments.item}.overview.pdf"
        csv = kept / f"{arguments.item}.csv"
        if item_csv.of_other_runs(item_csv.rows(csv), grid.items[arguments.item]):
            raise ConfigError(
                [f"overview: {csv} is not of the runs of these settings; make figures/{arguments.item}.pdf"]
            )
        overview.overview(csv, out.with_suffix(""))
    log.info("%s", out)


def claims(arguments: argparse.Namespace) -> None:
    """Prints the verdicts at the configured scale, from the finished tables and figures; docs/verdicts.md has the method."""
    from leanat.report import ledger

    grid, root = options.grid(arguments), arguments.config_dir.parent
    _print(ledger.make(grid, arguments.papers, arguments.results, root, arguments.out))


def decide(arguments: argparse.Namespace) -> None:
    """Tests the claims at planned numbers of seeds (3, 5, 8, 12, 20), and trains those seeds first that are expected to decide
    most claims per minute.

    No seeds are added for a claim that is decided, or that further seeds are unlikely to decide. The same command continues
    where it stopped, and every table shows the seeds that were added. docs/verdicts.md says why testing repeatedly does not
    raise the error rate.
    """
    from leanat import deciding
    from leanat.plan import targets

    root = arguments.config_dir.parent
    if not (root / "Snakefile").is_file():
        raise ConfigError([f"decide: {root} has no Snakefile; run it in the checkout"])
    if arguments.config_dir.resolve() != (root / "config").resolve():
        what = f"the workflow reads {root / 'config'} alone; other settings: --set KEY=VALUE"
        raise ConfigError([f"decide: --config-dir {arguments.config_dir}: {what}"])
    if not arguments.dry_run and root.resolve() != Path.cwd():  # Snakemake looks for its file and makes pages here
        raise ConfigError([f"decide: the workflow runs in its checkout alone; first: cd {root.resolve()}"])
    grid = options.grid(arguments)
    for paper in arguments.papers:
        options.paper(grid, paper, "decide")
    settings = [*arguments.set, targets.for_snakemake("results", str(arguments.results))]

    def make(items: Sequence[str]) -> None:
        deciding.workflow(items, arguments.cores, settings, arguments.workflow_profile)

    what = (arguments.papers, arguments.results, root, arguments.budget, None if arguments.dry_run else make)
    deciding.decide(lambda: options.grid(arguments), *what, arguments.cores)


def runs(arguments: argparse.Namespace) -> None:
    """Lists device, revision, date, seconds, memory and passes of every run behind a paper's tables and figures."""
    from leanat.plan import walk
    from leanat.report import runs

    grid = options.grid(arguments)
    options.paper(grid, arguments.paper, "runs")
    out = arguments.out or Path("figures") / arguments.paper / "runs.csv"
    run_ids = walk.by_paper(grid)[0][arguments.paper]
    runs.write(run_ids, arguments.results, out)
    log.info("%s", out)


def site(arguments: argparse.Namespace) -> None:
    """Writes static pages from all finished results; they open from the file system, without a network."""
    from leanat.site import build

    grid, root = options.grid(arguments), arguments.config_dir.parent
    log.info("%s", build.write(grid, arguments.results, root, arguments.figures, arguments.out))


def archive(arguments: argparse.Namespace) -> None:
    """Writes a zip with an RO-Crate description and SHA-256 sums; the same results give the same bytes."""
    from leanat import archive

    grid, root = options.grid(arguments), arguments.config_dir.parent
    out = arguments.out or Path(f"leanat-{grid.scale.name}.zip")
    log.info("%s", archive.write(grid, arguments.results, root, arguments.figures, out))


def curves(arguments: argparse.Namespace) -> None:
    """Prints a table and bars by epoch: the loss, and the accuracy on 200 test images where the training recorded it."""
    from leanat.report import learning

    _print(learning.make(arguments.runs, arguments.results, arguments.out))


def diff(arguments: argparse.Namespace) -> None:
    """Prints the settings that differ, then accuracies, passes, seconds and provenance of both runs, as Markdown."""
    from leanat.report import difference

    _print(difference.make(arguments.first, arguments.second, arguments.results, arguments.out))


def chosen(arguments: argparse.Namespace) -> None:
    """Prints how many examples a run trained on: by class for data sets that come with the package, else the total."""
    from leanat.report import chosen

    _print(chosen.make(arguments.run, arguments.results, arguments.out))


def bench(arguments: argparse.Namespace) -> None:
    """Trains a network with each rule, attacks it, and compares every rule with random subsets over paired seeds.

    Writes a table and a figure for each data set, the verdicts, and the full settings of every row. The same command resumes
    where it was stopped. A rule of your own is a class that is constructed with fraction=; its objects are called with
    (run, split) and return the indices of the examples to keep, or these and their weights (docs/bench.md).
    """
    command.run(arguments, _torch)


def workflow(arguments: argparse.Namespace) -> None:
    """Writes the Snakefile, rules, configuration, profiles and the papers' numbers of this version of the package."""
    folder = arguments.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError([f"workflow: {folder} is there already; name a folder that does not exist, or is empty"])
    shutil.copytree(Path(__file__).parent / "checkout", folder, dirs_exist_ok=True)
    log.info("cd %s; snakemake --cores all figures/table1.pdf", shlex.quote(str(folder)))


def readme(arguments: argparse.Namespace) -> None:
    """Every number comes from a finished table or figure. If one is missing, or belongs to runs with other settings, this is an
    error and nothing is written.
    """
    from leanat.plan import structure
    from leanat.report import readme

    root = arguments.config_dir.parent
    if arguments.replicated:
        readme.update_replicated(root)
    else:
        whole = options.overrides(arguments) | {"scale": "demo", "papers": None}
        readme.update(root, arguments.results, structure.load(arguments.config_dir, whole, arguments.results).items)
    log.info("README.md, docs/demo.csv, docs/claims_*.csv")


def collect(arguments: argparse.Namespace) -> None:
    """Writes every page of every input, in order, into one PDF."""
    from leanat.report import collect

    collect.collect(arguments.inputs, arguments.out)
    log.info("%s", arguments.out)


if __name__ == "__main__":
    sys.exit(main())
