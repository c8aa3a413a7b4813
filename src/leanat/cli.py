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
    """Exit status 0; 1 for what the user can mend, said in a line each on standard error; 2 for a wrong command line;
    75 after SIGTERM, 130 after Ctrl-C: what was done is saved. 141, as a shell has it, when the reader of a pipe left.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller; the first file opened would take its place
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not of a stream that is caught, as tests do
            stream.reconfigure(errors="replace")  # a terminal that has no word for a letter gets a ? in its place
    try:
        arguments = parser().parse_args(argv)
        options.settle(arguments)
    except ConfigError as error:  # of the environment, or of what is set
        print(*(f"leanat: {line}" for line in error.problems), sep="\n", file=sys.stderr)
        return 1
    logging.basicConfig(format="%(message)s", handlers=[_Lines(sys.stdout)])
    log.setLevel(logging.INFO)  # of other packages, warnings alone
    os.environ["MPLBACKEND"] = "agg"  # files are written, no window is opened, also where Jupyter set another one
    if hasattr(arguments, "results"):
        os.environ["LEANAT_RUNNING"] = str(arguments.results / ".running")
    try:
        request = {k: getattr(arguments, k) for k in ("device", "jobs_per_gpu", "processes") if hasattr(arguments, k)}
        if "device" in request:
            arguments.gpus = devices.usable(arguments.device)  # before this process sees one alone
        spreads = arguments.name == "bench" and command.spreads(arguments)
        with signals.ending(), nullcontext() if spreads else devices.claimed(**request):
            arguments.verb(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, `head` for instance, has what it wanted
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


class _Lines(logging.StreamHandler):
    """Lines on standard output; one that takes no more, such as a reader that left, ends the program, where logging would
    print a traceback and go on.
    """

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(error := sys.exception(), OSError) and error.filename is None:
            error.filename = "standard output"
        raise


def _expected(error: Exception) -> bool:
    """Errors that name what the user can do; a bug keeps its traceback."""
    if isinstance(error, OSError | ConfigError):
        return True
    if is_out_of_memory(error):
        return True
    return type(error).__module__.startswith("leanat") or type(error) in (ValueError, UnicodeDecodeError)


MORE = "leanat VERB --help has the arguments of a verb, README.md and docs/ have examples."
RUN = "a finished run: its name, the beginning of it, or its folder"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="leanat", description="Lean adversarial training: five papers, replicated.", epilog=MORE
    )
    top.add_argument("--version", action="version", version=f"leanat {leanat.__version__}")
    verbs = top.add_subparsers(dest="name", required=True, metavar="VERB")

    config, results, run = options.config_options, options.results_option, options.run_options

    def verb(function: Any, text: str, *shared: Callable[[options.Add], None]) -> options.Add:
        """``shared``: what adds the options that several verbs have, of which help tells below the verb's own. Returns what adds
        these.
        """
        sub = verbs.add_parser(
            function.__name__.strip("_"), help=text, description=function.__doc__, formatter_class=options.Kinds
        )
        sub.set_defaults(verb=function, **{"results": None} if config in shared else {})
        group = sub.add_argument_group()
        for own in shared:
            own(group.add_argument)
        return sub.add_argument

    verb(check, "build every run's spec, and report every problem of the configuration", config)
    add = verb(data, "list which data sets are found, what is missing, and how to get it", config)
    add("data_dir", nargs="?", type=options.path, help="folder of the data sets (default: data_dir of config.yaml)")
    add(
        "--need",
        nargs="+",
        metavar="NAME",
        help="only these, which are read; exit status 1 if one is missing or damaged",
    )
    add("--download", metavar="NAME", help="fetch one of torchvision's data sets into the folder first")
    add = verb(train, "train runs, or go on from their last checkpoints", config, run)
    add("runs", nargs="+", metavar="RUN", help="a run, by the beginning of its name, or a folder with a spec.json")
    add("--processes", type=options.count, default=1, help="train on N GPUs together (default: 1)")
    add = verb(attack, "run a suite of attacks on trained networks", options.attack_options, config, run)
    add("runs", nargs="*", metavar="RUN", help="runs of the configuration, or folders of runs")
    add = verb(
        time_,
        "measure what a paper's trainings take on this machine, which should do nothing else meanwhile",
        config,
        run,
    )
    add("paper", help="a paper, such as qtart")
    add("--batch", type=options.count, help="images of a step (default: 4 on a CPU, the paper's on a GPU)")
    add("--repeats", type=options.count, help="measurements of each, after one that does not count (default: 3, GPU 5)")
    add("--threads", type=options.count, default=usable_cores(), help="CPU threads (default: all)")
    add("--out", type=options.path, metavar="FILE", help="the JSON (default: <results>/timings/<paper>.json)")
    for function, text in ((table, "render a table from finished runs"), (figure, "draw a figure from finished runs")):
        add = verb(function, text, options.item_options, config, results)
        add("item", help="an item of the configuration, such as qtart/table1")
    add = verb(
        cost, "forecast the hours, disk and memory of a target on this machine, before it is started", config, run
    )
    add("target", help="a target of the workflow: figures/qtart/table1.pdf, a paper, table1, all")
    add("--scale", help="demo, cpu, lite or paper (default: that of config.yaml)")
    add("--deadline", type=options.hours, help="say which items these hours allow")
    add("--devices", type=options.count, help="cores or GPUs that work at once (default: all here)")
    add = verb(
        overview, "draw the papers' values beside ours, for a table or for all items on one page", config, results
    )
    add("item", nargs="?", help="a table, such as qtart/table1 (default: one line for each item)")
    add("--out", type=options.named(".pdf"), help="the PDF; the PNG is written beside it (default: in figures)")
    add = verb(claims, "say of each claim of the papers whether the numbers here support it", config, results)
    add("papers", nargs="*", metavar="PAPER", help="only these (default: all)")
    add("--out", type=options.named(".pdf"), help="a PDF of it; CSV, JSON and PNG are written beside it")
    add = verb(
        decide, "add seeds where they decide most claims per minute, until the hours are used up", config, results
    )
    add("papers", nargs="*", metavar="PAPER", help="only these (default: all)")
    add("--budget", type=options.hours, default=3.0, help="hours of this machine (default: 3)")
    add("--cores", type=options.count, default=usable_cores(), help="cores that work at once (default: all)")
    add(
        "--workflow-profile",
        metavar="NAME",
        help="Snakemake's profile, such as slurm; --cores is then the number of jobs at once",
    )
    add("--dry-run", action="store_true", help="say what would be done, from what is finished, and do nothing")
    add = verb(runs, "list a paper's finished runs in a CSV: where, when, how long", config, results)
    add("paper", help="a paper, such as qtart")
    add("--out", type=options.named(".csv"), help="the CSV (default: in figures)")
    add = verb(
        site,
        "write pages to browse: from a claim to a cell, from a cell to its runs, from a run to its curves",
        config,
        results,
    )
    add("--figures", type=options.path, default=Path("figures"), help="where the pictures are (default: figures)")
    add("--out", type=options.path, default=Path("site"), help="the folder of the pages (default: site)")
    add = verb(
        archive, "write one zip to cite: numbers, verdicts, settings and outcomes, without networks", config, results
    )
    add("--figures", type=options.path, default=Path("figures"), help="where tables and figures are (default: figures)")
    add("--out", type=options.named(".zip"), help="the zip (default: leanat-<scale>.zip)")
    add = verb(curves, "show loss and accuracies of runs by epoch", results)
    add("runs", nargs="+", metavar="RUN", help=RUN)
    add("--out", type=options.named(".pdf"), help="a PDF of it; PNG, SVG and CSV are written beside it")
    add = verb(diff, "compare two runs: the settings that differ, and their results", results)
    add("first", metavar="RUN", help=RUN)
    add("second", metavar="RUN", help="another one")
    add("--out", type=options.named(".md"), help="a Markdown file (.md) of it")
    add = verb(chosen, "show what a run trained on: how many examples of each class, from which epoch on", results)
    add("run", metavar="RUN", help=RUN)
    add("--out", type=options.named(".csv"), help="a CSV of every example, with its class and weight")
    add = verb(watch, "show epoch, loss and time left of every running job, renewed every two seconds", results)
    add("--once", action="store_true", help="print it once and end")
    text = "compare rules that choose data, your own included, with random subsets"
    verb(bench, text, command.add_options, options.config_option, run)
    add = verb(workflow, "write the workflow into a folder, where the package was installed without a checkout")
    add("folder", type=options.path, metavar="DIR", help="a folder that does not exist yet, or is empty")
    add = verb(readme, "write the findings of README.md from the finished items of the demo", config, results)
    add("--replicated", action="store_true", help="only what is read from replicated/; the demo's stays")
    add = verb(collect, "join PDF files into one")
    add("inputs", nargs="+", type=Path, metavar="PDF", help="the files, in order")
    add("--out", type=options.named(".pdf"), required=True, help="the PDF")
    return top


def _torch(arguments: argparse.Namespace) -> Any:
    """torch with one thread: two per job are slower on a shared machine, and of one no bit depends on the number of cores."""
    import torch

    torch.set_num_threads(1)
    if getattr(arguments, "deterministic", False) and torch.cuda.is_available():  # a CPU is so with one thread
        from leanat.core import precision

        precision.deterministic()
    return torch


def check(arguments: argparse.Namespace) -> None:
    """Builds the objects of every run's spec with torch, and names the claims that this scale cannot decide with its
    seeds (leanat decide adds seeds; docs/verdicts.md).

    Wrong fields and values of components are reported here, before anything is trained.
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
    """One line for each data set: found, or missing, and how to get it. Exit status 1 where nothing is there as asked.

    Names of files are looked at. Of those that --need names, checksums are compared too, and counts of images and classes
    with datasets.yaml (not with other_counts=true); one that differs is wrong.
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
    """Reads the notes that jobs leave while they work, also those of other machines that share the folder of results."""
    import time

    from leanat.runs import progress

    while True:
        lines = list(progress.running(arguments.results / ".running"))
        if not arguments.once and sys.stdout.isatty():
            print("\033[2J\033[H", end="")
        print("\n".join(lines) or f"nothing works on {arguments.results} now", flush=True)
        if arguments.once:
            return
        time.sleep(2)


def train(arguments: argparse.Namespace) -> None:
    """Trains each run in turn. What is finished stays finished: the same command goes on where it was stopped."""
    specs = options.specs(arguments)
    _torch(arguments)
    from leanat.core import distributed
    from leanat.runs import training

    if arguments.processes > 1 and not distributed.launched():
        training.launch(arguments.processes)
    else:
        training.train_runs(specs, arguments)


def attack(arguments: argparse.Namespace) -> None:
    """Measures robust accuracy under each attack of a suite. An attack that has an outcome is not run again."""
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
    """Measures steps, attacks and selections at the paper's own settings on random images; columns of time rest on them."""
    grid = options.grid(arguments)
    usual = options.paper(grid, arguments.paper, "time").repeats
    _torch(arguments).set_num_threads(arguments.threads)
    from leanat.cost import timing

    out = arguments.out or arguments.results / "timings" / f"{arguments.paper}.json"
    timing.write(grid.timed(arguments.paper), out, arguments.device, arguments.batch, arguments.repeats, usual)
    log.info("%s", out)


def table(arguments: argparse.Namespace) -> None:
    """A table as PDF, PNG and CSV: the paper's numbers, real-scale replications where there are any, and these runs."""
    _item(arguments, ("table", "formula"))


def figure(arguments: argparse.Namespace) -> None:
    """A figure as PDF, PNG and CSV: these runs, and the paper's values as open markers where they are known."""
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
    """Measures a few steps of each kind that the target's jobs are made of, and adds up jobs, hours, disk and memory."""
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
    """Draws a table's values and the paper's as dots; without an item, how far the orderings of all items hold."""
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
    """The ledger at the scale of the configuration, from the items that are finished; docs/verdicts.md is the method."""
    from leanat.report import ledger

    grid, root = options.grid(arguments), arguments.config_dir.parent
    print(ledger.make(grid, arguments.papers, arguments.results, root, arguments.out))


def decide(arguments: argparse.Namespace) -> None:
    """Tests the claims at planned looks (3, 5, 8, 12, 20 seeds), and trains next what decides most per minute.

    Stops a claim when it is decided or past hope. What was chosen is kept: the same command goes on from there, and every
    table shows the seeds that it added. docs/verdicts.md says why looking again costs no error.
    """
    from leanat import deciding
    from leanat.plan import targets

    grid = options.grid(arguments)
    for paper in arguments.papers:
        options.paper(grid, paper, "decide")
    root = arguments.config_dir.parent
    if not (root / "Snakefile").is_file():
        raise ConfigError([f"decide: {root} has no Snakefile; run it in the checkout"])
    if not arguments.dry_run and root.resolve() != Path.cwd():  # Snakemake looks for its file and makes pages here
        raise ConfigError([f"decide: the workflow runs in its checkout alone; first: cd {root.resolve()}"])
    settings = [*arguments.set, targets.for_snakemake("results", str(arguments.results))]

    def make(items: Sequence[str]) -> None:
        deciding.workflow(items, arguments.cores, settings, arguments.workflow_profile)

    what = (arguments.papers, arguments.results, root, arguments.budget, None if arguments.dry_run else make)
    deciding.decide(lambda: options.grid(arguments), *what, arguments.cores)


def runs(arguments: argparse.Namespace) -> None:
    """Device, revision, date, seconds, memory and passes of every run behind a paper's items."""
    from leanat.plan import walk
    from leanat.report import runs

    grid = options.grid(arguments)
    options.paper(grid, arguments.paper, "runs")
    out = arguments.out or Path("figures") / arguments.paper / "runs.csv"
    run_ids = walk.by_paper(grid)[0][arguments.paper]
    runs.write(run_ids, arguments.results, out)
    log.info("%s", out)


def site(arguments: argparse.Namespace) -> None:
    """Static pages of all that is finished, which open from the file system without a network."""
    from leanat.site import build

    grid, root = options.grid(arguments), arguments.config_dir.parent
    log.info("%s", build.write(grid, arguments.results, root, arguments.figures, arguments.out))


def archive(arguments: argparse.Namespace) -> None:
    """A zip with an RO-Crate description and SHA-256 sums; the same results give the same bytes."""
    from leanat import archive

    grid, root = options.grid(arguments), arguments.config_dir.parent
    out = arguments.out or Path(f"leanat-{grid.scale.name}.zip")
    log.info("%s", archive.write(grid, arguments.results, root, arguments.figures, out))


def curves(arguments: argparse.Namespace) -> None:
    """Prints bars and a table of epochs: loss, and accuracy on 200 test images where the history has it."""
    from leanat.report import learning

    print(learning.make(arguments.runs, arguments.results, arguments.out))


def diff(arguments: argparse.Namespace) -> None:
    """Prints as Markdown the settings that differ, then accuracies, passes, seconds and provenance of both."""
    from leanat.report import difference

    print(difference.make(arguments.first, arguments.second, arguments.results, arguments.out))


def chosen(arguments: argparse.Namespace) -> None:
    """Classes are counted for the data sets that come with the package; of others, how many examples in all."""
    from leanat.report import chosen

    print(chosen.make(arguments.run, arguments.results, arguments.out))


def bench(arguments: argparse.Namespace) -> None:
    """Trains a network with each rule, attacks it, and compares every rule with random subsets over paired seeds.

    Writes a table and a figure for each data set, the verdicts, and the full settings of every row. What is finished stays
    finished: the same command goes on. A rule of your own is a class, made with fraction=; its objects are called with
    (run, split) and return the indices of the examples to keep, or these and their weights (docs/bench.md).
    """
    command.run(arguments, _torch)


def workflow(arguments: argparse.Namespace) -> None:
    """Snakefile, rules, configuration, profiles and the papers' numbers, as this version of the package has them."""
    folder = arguments.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError([f"workflow: {folder} is there already; name a folder that does not exist, or is empty"])
    shutil.copytree(Path(__file__).parent / "checkout", folder, dirs_exist_ok=True)
    log.info("cd %s; snakemake --cores all figures/table1.pdf", shlex.quote(str(folder)))


def readme(arguments: argparse.Namespace) -> None:
    """Every number of the findings comes from a finished item; one that is missing, or of other runs than the settings have,
    is an error, and nothing is written.
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
