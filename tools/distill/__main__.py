"""Command line of the recipe: `python -m tools.distill STEP`, see `--help`."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tools.distill import pipeline, release
from tools.distill.sources import stretch

from lookalike.errors import UsageError


def parser() -> argparse.ArgumentParser:
    """Return the parser of all steps."""
    top = argparse.ArgumentParser(prog="python -m tools.distill", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    _add_prepare(steps.add_parser("prepare", help="compute the teacher's features of all images"))
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
        "--tiny", type=Path, required=True, help="folder with the zip files of Tiny ImageNet"
    )
    step.add_argument("--tiny-count", type=int, help="use only so many of its 86,000 images")
    step.add_argument(
        "--photos", type=Path, nargs="*", default=[], help="folders of photos; labels are not read"
    )
    step.add_argument(
        "--views", type=int, default=24, help="of each photo: whole, centre, random crops"
    )
    step.add_argument(
        "--large", type=Path, nargs="*", default=[], help="folders of full-size photos: many crops"
    )
    step.add_argument("--cutouts", type=int, default=8000, help="product-like images to draw")
    step.add_argument(
        "--products", type=int, default=2400, help="of the simulated catalogue; 4 images each"
    )
    step.add_argument("--workers", type=int, default=2, help="processes")
    step.add_argument(
        "--output",
        dest="out",
        type=Path,
        required=True,
        help="folder for images and features (about 2 GB)",
    )


def _add_train(step: argparse.ArgumentParser) -> None:
    step.add_argument("--data", type=Path, required=True, help="what 'prepare' wrote")
    step.add_argument(
        "--hours", type=float, required=True, help="length of the whole run, without interruptions"
    )
    step.add_argument("--threads", type=int, default=2)
    step.add_argument("--pause-file", type=Path, help="sleep while this file exists")
    step.add_argument(
        "--count-pauses", action="store_true", help="count time asleep, to end when planned"
    )
    step.add_argument(
        "--init-from", type=Path, metavar="FILE.onnx", help="start with the weights of this file"
    )
    step.add_argument("--rate", type=float, default=2.5e-3, help="the highest learning rate")
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
    except (ModuleNotFoundError, FileNotFoundError, UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _prepare(given: argparse.Namespace) -> None:
    pipeline.prepare(
        teacher=given.teacher,
        tiny=given.tiny,
        photos=given.photos,
        large=given.large,
        views=given.views,
        out=given.out,
        tiny_count=given.tiny_count,
        cutouts=given.cutouts,
        products=given.products,
        workers=given.workers,
    )


def _train(given: argparse.Namespace) -> None:
    pipeline.train(
        data=given.data,
        out=given.out,
        hours=given.hours,
        threads=given.threads,
        pause=given.pause_file,
        count_pauses=given.count_pauses,
        init_from=given.init_from,
        rate=given.rate,
    )


def _export(given: argparse.Namespace) -> None:
    if given.pixels is not None:
        images = np.load(given.pixels, allow_pickle=False)
        pixels = np.stack([stretch(image, given.side) for image in images])
    else:
        pixels = release.sample_images(given.data, side=given.side)
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
    for key, one in found.items():
        print(key, *(f"{cosine:.3f}" for cosine in one.cosines))


if __name__ == "__main__":
    raise SystemExit(main())
