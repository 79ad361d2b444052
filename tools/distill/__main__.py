"""Command line of the recipe: `python -m tools.distill STEP`, see `--help`."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tools.distill import release
from tools.distill.sources import stretch

from lookalike.errors import MissingExtra, UsageError


def parser() -> argparse.ArgumentParser:
    """Return the parser of all steps."""
    top = argparse.ArgumentParser(prog="python -m tools.distill", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    _add_prepare(
        steps.add_parser("prepare", help="make views of photos and store the teacher's answers")
    )
    _add_train(steps.add_parser("train", help="train the network; continues an interrupted run"))
    _add_export(steps.add_parser("export", help="write the ONNX file"))
    _add_calibrate(
        steps.add_parser(
            "calibrate", help="measure similarities of unrelated images, for relevance"
        )
    )
    evaluate = steps.add_parser(
        "evaluate", help="print leave-one-out metrics on labelled folders, as JSON"
    )
    evaluate.add_argument("--label", default="label", help="column of the table with the labels")
    sweep = steps.add_parser(
        "sweep-weights", help="print the mAP at other weights of the parts, as JSON lines"
    )
    for step in (evaluate, sweep):
        step.add_argument("--model", type=Path, required=True, help="the ONNX file")
        step.add_argument(
            "folders",
            nargs="+",
            metavar="FOLDER[:COLUMN]",
            help="with a manifest.csv or products.csv",
        )
    return top


def _add_prepare(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--teacher",
        type=Path,
        default=Path("efficientnet-lite2"),
        help="efficientnet-lite2 (extra efficientnet), or FOLDER/onnx/model.onnx with an output 'embedding'",
    )
    step.add_argument(
        "--photos",
        nargs="+",
        required=True,
        metavar="FOLDER[:VIEWS]",
        help="folders or zip files of photos, and how many views to make of them (two of each photo); labels "
        "are not read",
    )
    step.add_argument("--workers", type=int, default=2, help="processes")
    step.add_argument(
        "--output",
        dest="out",
        type=Path,
        required=True,
        help="folder for views and the teacher's answers (82 kB a view)",
    )


def _add_train(step: argparse.ArgumentParser) -> None:
    step.add_argument("--data", type=Path, required=True, help="what 'prepare' wrote")
    step.add_argument(
        "--hours", type=float, required=True, help="length of the whole run, without interruptions"
    )
    step.add_argument("--threads", type=int, default=2)
    step.add_argument(
        "--output",
        dest="out",
        type=Path,
        required=True,
        help="folder for checkpoint, settings and curves",
    )


def _add_export(step: argparse.ArgumentParser) -> None:
    step.add_argument("--run", type=Path, required=True, help="the folder that 'train' wrote")
    fitted = step.add_mutually_exclusive_group(required=True)
    fitted.add_argument("--data", type=Path, help="what 'prepare' wrote, to fit the projections to")
    fitted.add_argument(
        "--pixels",
        type=Path,
        metavar="FILE.npy",
        help="the same, as images (n, side, side, 3) uint8",
    )
    step.add_argument("--color-weight", type=float, default=release.WEIGHTS["color"], help="0 to 1")
    step.add_argument("--side", type=int, default=release.SIDE, help="pixels")
    step.add_argument("--float32", action="store_true", help="weights in 32 bits, to compare")
    step.add_argument("--output", dest="out", type=Path, required=True, help="the file to write")


def _add_calibrate(step: argparse.ArgumentParser) -> None:
    step.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="images of one kind")
    step.add_argument(
        "--related",
        action="append",
        default=[],
        metavar="A,B",
        help="names of folders that share a kind and are not compared",
    )
    step.add_argument(
        "--extractor",
        dest="extractors",
        default="lookalike,color,histogram",
        help="separated by commas",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one step. Return 2, after one line on stderr, if something is missing."""
    given = parser().parse_args(arguments)
    try:
        if given.step == "prepare":
            _prepare(given)
        elif given.step == "train":
            _train(given)
        elif given.step == "export":
            _export(given)
        elif given.step == "calibrate":
            _calibrate(given)
        elif given.step == "evaluate":
            metrics = release.evaluate_model(given.model, given.folders, label=given.label)
            print(json.dumps(metrics, indent=1))
        else:
            for line in release.sweep_weights(given.model, given.folders):
                print(json.dumps(line))
    except (ModuleNotFoundError, MissingExtra, UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _prepare(given: argparse.Namespace) -> None:
    from tools.distill import teacher

    teacher.prepare(
        [_source(text) for text in given.photos],
        teacher=given.teacher,
        out=given.out,
        workers=given.workers,
    )


def _source(text: str) -> tuple[Path, int | None]:
    folder, colon, count = text.rpartition(":")
    return (Path(folder), int(count)) if colon and count.isdigit() else (Path(text), None)


def _train(given: argparse.Namespace) -> None:
    from tools.distill import trainer

    trainer.train(data=given.data, out=given.out, hours=given.hours, threads=given.threads)


def _export(given: argparse.Namespace) -> None:
    if given.pixels is not None:
        images = np.load(given.pixels, allow_pickle=False)
        pixels = np.stack([stretch(image, given.side) for image in images])
    else:
        pixels = release.sample_views(given.data, side=given.side)
    release.write_model(
        run=given.run,
        pixels=pixels,
        path=given.out,
        weights={"network": round(1 - given.color_weight, 6), "color": given.color_weight},
        side=given.side,
        quantise=not given.float32,
    )


def _calibrate(given: argparse.Namespace) -> None:
    from tools.distill import calibrate

    from lookalike.extractors.registry import parse

    related = {frozenset(pair.split(",")) for pair in given.related}
    found = calibrate.calibrate(given.folders, parse(given.extractors), related=related)
    calibrate.write(found)
    calibrate.write_references(calibrate.references(given.folders, calibrate.WITH_REFERENCES))
    for key, one in found.items():
        print(key, *(f"{cosine:.3f}" for cosine in one.cosines))


if __name__ == "__main__":
    raise SystemExit(main())
