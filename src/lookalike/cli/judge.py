"""`lookalike judge`: people say what is relevant."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, output, parameters
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.evaluation.open_or_build import Opened
    from lookalike.evaluation.relevance_judgements import Judging


@click.command("judge")
@click.argument("library", type=parameters.PATH, required=False)
@click.option(
    "--by",
    metavar="EXTRACTOR,...",
    multiple=True,
    help="The systems: vectors of the library. Default: all.",
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Pictures that ask, drawn at random.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="Hits of each system that are judged.",
)
@click.option("--judge", "name", metavar="NAME", help="Who judges. Default: your user name.")
@click.option(
    "--file",
    type=parameters.PATH,
    default=Path("judging.jsonl"),
    show_default=True,
    metavar="FILE",
    help="Where judgements are kept. If it is there, judging goes on with its questions.",
)
@click.option(
    "--qrels",
    type=parameters.PATH,
    metavar="FILE",
    help="Where they go for `lookalike evaluate --labels`. Default: FILE with .qrels.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the questions drawn.")
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="Default: any that is free."
)
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--results", is_flag=True, help="Only say how far the judges agree, and write the qrels."
)
@parameters.format_options("table", "json")
def command(
    library: Path | None,
    by: tuple[str, ...],
    queries: int,
    top: int,
    name: str | None,
    file: Path,
    qrels: Path | None,
    seed: int,
    port: int | None,
    open_: bool,
    results: bool,
    format_: str,
) -> None:
    """Judge hits on a page: what is relevant, whichever system found it.

    The first hits of all systems stand mixed and unnamed beside the picture that asks; Y and N judge
    them, Backspace takes back. Ctrl-C ends it, and the same command goes on. Several judges may use one
    file (--judge NAME); how far they agree is counted. Only this machine can reach the page.

    \b
    lookalike judge shop --by color,lookalike --open
    lookalike judge --results
    lookalike evaluate shop --labels judging.qrels
    """
    from lookalike.evaluation.open_or_build import opened
    from lookalike.evaluation.relevance_judgements import Judging
    from lookalike.extractors.registry import parse

    out = qrels or file.with_suffix(".qrels")
    if out.absolute() == file.absolute():
        raise UsageError(f"judgements and qrels cannot both be {file}: name another with --qrels")
    if results:
        _results(Judging.open(file), out, format_)
        return
    judge = (name or getpass.getuser()).strip()
    if not judge:
        raise click.UsageError("--judge needs a name")
    with opened(_folder(library)) as here:
        judging = _judging(here, file, parse(",".join(by)), queries, top, seed)
        _serve(here, judging, judge, port, open_)
    _results(judging, out, format_)


def _folder(library: Path | None) -> Path:
    from lookalike.cli.open_library import locate

    return library or locate(None)


def _judging(here: Opened, file: Path, by: list[str], queries: int, top: int, seed: int) -> Judging:
    from lookalike.evaluation.relevance_judgements import Judging, draw

    if file.exists():
        judging = Judging.open(file)
        if by and sorted(by) != sorted(judging.systems):
            raise UsageError(
                f"{file} judges {', '.join(judging.systems)}: name another with --file, or leave out --by"
            )
        return judging
    if not file.absolute().parent.is_dir():
        raise UsageError(f"cannot write {file}: there is no folder {file.parent}")
    return Judging.create(file, *draw(here, by=by, queries=queries, top=top, seed=seed))


def _serve(here: Opened, judging: Judging, judge: str, port: int | None, open_: bool) -> None:
    import secrets

    from lookalike.server.judging.serving import desk, serve
    from lookalike.server.run import listening

    bound = listening("127.0.0.1", port)
    token = secrets.token_urlsafe(18)
    address = f"http://127.0.0.1:{bound.getsockname()[1]}/?token={token}"

    def ready() -> None:
        asked = format.counted(len(judging.pools), "question")
        output.note(f"{asked} on {', '.join(judging.systems)}; judgements go to {judging.file}.")
        output.note(f"Judge as {judge}: {address}  (Ctrl-C ends it)")
        if open_:
            click.launch(address)

    serve(desk(here.library, judging, judge), bound, token=token, ready=ready)


def _results(judging: Judging, out: Path, format_: str) -> None:
    from lookalike.evaluation.trec import write_qrels

    qrels, agreed, counts = judging.results()
    relevant = sum(grade > 0 for grades in qrels.values() for grade in grades.values())
    pictures = sum(map(len, qrels.values()))
    if format_ == "json":
        record = {
            "questions": len(qrels),
            "pictures": pictures,
            "relevant": relevant,
            "judgements": counts,
            "agreement": [
                {
                    "judges": [one.first, one.second],
                    "pictures": one.pictures,
                    "share": one.share,
                    "kappa": one.kappa,
                }
                for one in agreed
            ],
        }
        output.put(output.as_json(record))
    else:
        output.put(
            f"{format.counted(pictures, 'picture')} judged for "
            f"{format.counted(len(qrels), 'question')}, {relevant:,} of them relevant."
        )
        for one in agreed:
            kappa = "" if one.kappa is None else f", Cohen's kappa {one.kappa:.2f}"
            output.put(
                f"{one.first} and {one.second} agree on {100 * one.share:.0f} % of "
                f"{format.counted(one.pictures, 'picture')}{kappa}."
            )
    if not qrels:
        output.note("Nothing is judged yet.")
        return
    write_qrels(out, qrels)
    output.note(f"Written: {out}. Now: lookalike evaluate FOLDER --labels {out}")
