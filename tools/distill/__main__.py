"""`python -m tools.distill prepare | train | export | judge | weigh`: how the built-in model is made,
step by step.
"""

import argparse
import json
import sys
from pathlib import Path

from tools.distill import pipeline, release


def parser() -> argparse.ArgumentParser:
    """The steps and their folders; no path is built in."""
    top = argparse.ArgumentParser(prog="python -m tools.distill", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    prepare = steps.add_parser("prepare", help="ask the teacher about every training picture")
    prepare.add_argument(
        "--teacher", type=Path, required=True, help="ONNX file with an output 'embedding'"
    )
    prepare.add_argument(
        "--tiny", type=Path, required=True, help="folder with Tiny ImageNet's zips"
    )
    prepare.add_argument(
        "--tiny-count", type=int, help="ask about so many of them only (all: about 86,000)"
    )
    prepare.add_argument(
        "--photos", type=Path, nargs="*", default=[], help="folders of photos; labels are not read"
    )
    prepare.add_argument(
        "--views", type=int, default=24, help="of each photo: whole, middle, random pieces"
    )
    prepare.add_argument(
        "--large",
        type=Path,
        nargs="*",
        default=[],
        help="folders of full-size photos: many pieces each",
    )
    prepare.add_argument(
        "--cutouts", type=int, default=8000, help="how many product-like pictures to draw"
    )
    prepare.add_argument(
        "--products", type=int, default=2400, help="of the simulated catalogue; 4 pictures each"
    )
    prepare.add_argument("--workers", type=int, default=2, help="processes")
    prepare.add_argument(
        "--out", type=Path, required=True, help="where to keep pictures and features (about 2 GB)"
    )
    train = steps.add_parser("train", help="train the network; goes on where it was cut")
    train.add_argument("--data", type=Path, required=True, help="what 'prepare' wrote")
    train.add_argument(
        "--hours", type=float, required=True, help="length of the whole run, cuts not counted"
    )
    train.add_argument("--threads", type=int, default=2)
    train.add_argument("--pause-file", type=Path, help="sleep while this file exists")
    train.add_argument(
        "--count-pauses", action="store_true", help="time asleep is time spent: end when planned"
    )
    train.add_argument(
        "--begin-with", type=Path, metavar="FILE.onnx", help="weights of an exported file"
    )
    train.add_argument("--rate", type=float, default=2.5e-3, help="the highest learning rate")
    train.add_argument(
        "--out", type=Path, required=True, help="folder for checkpoint, plan and curves"
    )
    export = steps.add_parser("export", help="write the ONNX file")
    export.add_argument("--run", type=Path, required=True, help="the folder that 'train' wrote")
    export.add_argument(
        "--data",
        type=Path,
        required=True,
        help="what 'prepare' wrote: the colours' axes come from it",
    )
    export.add_argument(
        "--color-weight", type=float, default=release.WEIGHTS["color"], help="0 to 1"
    )
    export.add_argument("--side", type=int, default=release.SIDE, help="pixels")
    export.add_argument("--float32", action="store_true", help="weights in 32 bits, to compare")
    export.add_argument("--out", type=Path, required=True, help="the file to write")
    judge = steps.add_parser("judge", help="leave-one-out figures on labelled folders, as JSON")
    judge.add_argument("--model", type=Path, required=True)
    judge.add_argument("--label", default="label", help="the column of manifest.csv to judge by")
    judge.add_argument(
        "folders", nargs="+", metavar="FOLDER[:COLUMN]", help="with a manifest.csv or products.csv"
    )
    weigh = steps.add_parser("weigh", help="mAP at other weights of the parts, as JSON lines")
    weigh.add_argument("--model", type=Path, required=True)
    weigh.add_argument("folders", nargs="+", metavar="FOLDER[:COLUMN]")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one step; what is missing ends in one line that names the remedy."""
    given = parser().parse_args(arguments)
    try:
        if given.step == "prepare":
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
        elif given.step == "train":
            pipeline.train(
                data=given.data,
                out=given.out,
                hours=given.hours,
                threads=given.threads,
                pause=given.pause_file,
                count_pauses=given.count_pauses,
                first=given.begin_with,
                rate=given.rate,
            )
        elif given.step == "export":
            release.write_model(
                run=given.run,
                data=given.data,
                path=given.out,
                weights={
                    "network": round(1 - given.color_weight, 6),
                    "color": given.color_weight,
                },
                side=given.side,
                small=not given.float32,
            )
        elif given.step == "weigh":
            for line in release.weigh(given.model, given.folders):
                print(json.dumps(line))
        else:
            print(
                json.dumps(release.figures(given.model, given.folders, label=given.label), indent=1)
            )
    except (ModuleNotFoundError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
