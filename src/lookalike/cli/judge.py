"""`lookalike judge`: collect relevance judgements from people."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, output, parameters
from lookalike.cli.evaluate import open_eval_library
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.evaluation.collection import EvalLibrary
    from lookalike.evaluation.relevance_judgements import JudgementFile


@click.command("judge")
@click.argument("folder", type=parameters.PATH, required=False)
@parameters.extractors_option("The systems: extractors of the library. Default: all.")
@parameters.count_option("--queries", "Query images, drawn at random.", default=100)
@parameters.count_option("--top", "Hits of each system to judge.", default=5)
@click.option("--judge", "name", metavar="NAME", help="The judge. Default: your user name.")
@click.option(
    "--file",
    type=parameters.PATH,
    default=Path("judging.jsonl"),
    show_default=True,
    metavar="FILE",
    help="Where judgements are stored. If it exists, judging resumes with its queries.",
)
@parameters.output_option(
    "TREC qrels for `lookalike evaluate --labels`. Default: --file with .qrels.",
)
@parameters.count_option("--seed", "Seed of the random queries.", default=0, low=0)
@parameters.count_option("--port", "Default: any free port.", high=65535)
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--results", is_flag=True, help="Only report the agreement of the judges, and write the qrels."
)
@parameters.library_option
@parameters.format_options("table", "json")
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path | None,
    extractors: tuple[str, ...],
    queries: int,
    top: int,
    name: str | None,
    file: Path,
    out: Path | None,
    seed: int,
    port: int | None,
    open_: bool,
    results: bool,
    library: parameters.LibraryName | None,
    format_: str,
) -> None:
    """Judge hits on a web page: which are relevant, whichever system found them.

    The first hits of all systems are mixed and shown without names beside the query image; Y and N
    judge them, Backspace takes a judgement back. Ctrl-C stops, and the same command resumes. Several
    judges can use one file (--judge NAME), and their agreement is measured. Only this machine can
    reach the page. FOLDER restricts the queries and hits to the images in it.

    \b
    lookalike judge shop -e color,lookalike --open
    lookalike judge --results
    lookalike evaluate shop --labels judging.qrels
    """
    from lookalike.evaluation.relevance_judgements import JudgementFile

    out = out or file.with_suffix(".qrels")
    if out.absolute() == file.absolute():
        raise UsageError(f"judgements and qrels cannot both be {file}: name another with --output")
    if results:
        _results(JudgementFile.open(file), out, format_)
        return
    judge = (name or getpass.getuser()).strip()
    if not judge:
        raise click.UsageError("--judge needs a name")
    with open_eval_library(ctx, folder, library) as opened:
        systems = parameters.parse_names(extractors)
        judgements = _open_judgements(opened, file, systems, queries, top, seed)
        _serve(opened, judgements, judge, port, open_)
    _results(judgements, out, format_)


def _open_judgements(
    opened: EvalLibrary, file: Path, systems: list[str], queries: int, top: int, seed: int
) -> JudgementFile:
    from lookalike.evaluation.relevance_judgements import JudgementFile, draw_pools

    if file.exists():
        judgements = JudgementFile.open(file)
        if systems and sorted(systems) != sorted(judgements.systems):
            raise UsageError(
                f"{file} judges {', '.join(judgements.systems)}: name another with --file, "
                "or leave out --extractor"
            )
        return judgements
    if not file.absolute().parent.is_dir():
        raise UsageError(f"cannot write {file}: there is no folder {file.parent}")
    names, pools = draw_pools(opened, extractors=systems, queries=queries, top=top, seed=seed)
    return JudgementFile.create(file, names, pools)


def _serve(
    opened: EvalLibrary, judgements: JudgementFile, judge: str, port: int | None, open_: bool
) -> None:
    import secrets

    from lookalike.cli.browser import browser_page, local_name
    from lookalike.server.judging.app import JudgingSession, serve
    from lookalike.server.run import listen
    from lookalike.server.settings import Settings

    bound = listen("127.0.0.1", port)
    token = secrets.token_urlsafe(18)
    name = local_name(str(judgements.file))
    address = f"http://{name}:{bound.getsockname()[1]}/?token={token}"
    with browser_page(address) as open_page:

        def ready() -> None:
            queries = format.counted(len(judgements.pools), "query", "queries")
            systems = ", ".join(judgements.systems)
            output.note(f"{queries} on {systems}; judgements are stored in {judgements.file}.")
            output.note(f"Judge as {judge}: {address}  (Ctrl-C stops)")
            if open_:
                open_page()

        session = JudgingSession.of(opened.library, judgements, judge)
        serve(session, bound, Settings(token=token, local_name=name), ready=ready)


def _results(judgements: JudgementFile, out: Path, format_: str) -> None:
    from lookalike.evaluation.trec import write_qrels
    from lookalike.wire.evaluation import judgements_document

    qrels, agreements, _ = judgements.results()
    document = judgements_document(judgements)
    if format_ == "json":
        output.put(output.as_json(document))
    else:
        output.put(
            f"{format.counted(document['images'], 'image')} judged for "
            f"{format.counted(len(qrels), 'query', 'queries')}, {document['relevant']:,} of them relevant."
        )
        for one in agreements:
            kappa = "" if one.kappa is None else f", Cohen's kappa {one.kappa:.2f}"
            output.put(
                f"{one.first} and {one.second} agree on {100 * one.share:.0f} % of "
                f"{format.counted(one.images, 'image')}{kappa}."
            )
    if not qrels:
        output.note("Nothing is judged yet.")
        return
    write_qrels(out, qrels)
    output.note(f"Written: {out}. Next: lookalike evaluate FOLDER --labels {out}")
