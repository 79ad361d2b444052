"""`lookalike search` with its options and output formats."""

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.cli.program_runner import PROGRAM, Album, draw, environment, lookalike, process


def test_the_table_has_rank_similarity_and_a_path_relative_to_the_current_folder(
    album: Album,
) -> None:
    run = process("search", "photos/pets/cat.jpg", "-k", "3", cwd=album.home)
    assert run.returncode == 0, run.stderr
    title, first, *others = run.stdout.splitlines()
    assert title.split() == ["rank", "similarity", "path"]
    assert first == "   1       1.000  photos/pets/cat.jpg"
    assert len(others) == 2
    assert all((album.home / line.split()[-1]).is_file() for line in others)
    assert run.stderr == ""


def test_json_is_as_documented(album: Album) -> None:
    run = lookalike("search", "photos/pets/cat.jpg", "--format", "json", cwd=album.home)
    document = json.loads(run.stdout)
    assert list(document) == [
        "query", "ranked_by", "similarity", "exact", "searched_count", "seconds", "top_relevance",
        "judged_by", "hits",
    ]  # fmt: skip
    assert (document["searched_count"], document["similarity"]) == (8, "cosine")
    assert document["query"] == {"images": ["photos/pets/cat.jpg"]}
    assert document["ranked_by"] == "color"
    assert document["exact"] is True
    assert set(document["seconds"]) >= {"extract", "search", "total"}
    assert len(document["hits"]) == 8
    first = document["hits"][0]
    assert list(first) == ["rank", "path", "score", "similarity", "relevance", "metadata"]
    assert first["rank"] == 1
    assert first["path"] == "pets/cat.jpg"
    assert first["similarity"] == pytest.approx(1.0, abs=1e-5)
    assert first["metadata"] == {}
    similarities = [hit["similarity"] for hit in document["hits"]]
    assert similarities == sorted(similarities, reverse=True)


def test_all_formats_name_the_same_hits(album: Album) -> None:
    def output(name: str) -> str:
        run = lookalike("search", album.cat, "-k", "4", "--format", name, cwd=album.home)
        assert run.returncode == 0, run.stderr
        return run.stdout

    hits = json.loads(output("json"))["hits"]
    assert [json.loads(line) for line in output("jsonl").splitlines()] == hits
    rows = list(csv.DictReader(output("csv").splitlines()))
    assert [(row["path"], float(row["similarity"])) for row in rows] == [
        (hit["path"], hit["similarity"]) for hit in hits
    ]
    assert list(rows[0]) == ["rank", "path", "score", "similarity", "relevance", "metadata"]
    paths = output("paths").splitlines()
    assert paths == [f"photos/{hit['path']}" for hit in hits]
    null = lookalike("search", album.cat, "-k", "4", "-0", cwd=album.home).stdout
    assert null == "".join(path + "\0" for path in paths)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_that_is_not_utf_8_is_written_as_its_bytes(tmp_path: Path) -> None:
    image = draw(tmp_path / "a.jpg", 1)
    odd = os.fsencode(tmp_path) + b"/m\xfcller.jpg"
    try:
        image.rename(os.fsdecode(odd))
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    assert lookalike("index", ".", cwd=tmp_path).returncode == 0
    run = subprocess.run(
        [*map(os.fsencode, PROGRAM), b"search", odd, b"-0"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
    )
    assert run.stdout == b"m\xfcller.jpg\0"


@pytest.mark.parametrize("place", ["photos", "photos/pets", "."])
def test_the_library_is_found_upwards_from_the_current_folder_or_the_image(
    album: Album, place: str
) -> None:
    run = lookalike("search", album.cat, "-k", "1", "--format", "paths", cwd=album.home / place)
    assert run.returncode == 0, run.stderr
    assert (album.home / place / run.stdout.strip()).resolve() == album.cat.resolve()


def test_the_library_is_given_by_image_folder_library_folder_or_environment(
    album: Album, tmp_path: Path
) -> None:
    query = draw(tmp_path / "query.png", 3)
    ways: list[tuple[list[str], dict[str, str]]] = [
        (["--library", str(album.photos)], {}),
        (["--library", str(album.photos / ".lookalike")], {}),
        ([], {"LOOKALIKE_LIBRARY": str(album.photos)}),
    ]
    for arguments, env in ways:
        run = lookalike("search", query, "-k", "1", "-0", *arguments, cwd=tmp_path, env=env)
        assert run.returncode == 0, run.stderr
        assert run.stdout == f"{album.photos.resolve() / '3.png'}\0"


def test_without_a_library_the_error_names_the_remedy(album: Album, tmp_path: Path) -> None:
    query = draw(tmp_path / "query.png", 3)
    run = lookalike("search", query, cwd=album.home)
    assert run.returncode == 2
    assert run.stderr == (
        "Error: there is no library here or in a folder above; there is one in ./photos: "
        "add --library photos\n"
    )
    run = lookalike("search", query, cwd=tmp_path)
    assert run.returncode == 2
    assert "make one with: lookalike index FOLDER" in run.stderr
    assert run.stderr.count("\n") == 1


def test_extractor_and_similarity_can_be_chosen(album: Album) -> None:
    run = lookalike(
        "search", album.cat, "--extractor", "pixels", "--similarity", "euclidean", "--exact",
        "--format", "json", cwd=album.home,
    )  # fmt: skip
    document = json.loads(run.stdout)
    assert document["ranked_by"] == "pixels"
    assert document["hits"][0]["similarity"] == pytest.approx(0.0, abs=1e-3)
    assert all(hit["similarity"] < 0 for hit in document["hits"][1:])


def test_an_unusable_image_or_option_is_an_error_of_one_line(album: Album) -> None:
    for arguments, message in (
        (["photos/none.jpg"], "photos/none.jpg"),
        (["photos/cut.jpg"], "photos/cut.jpg"),
        (["photos/notes.txt"], "photos/notes.txt"),
        (["photos/pets/cat.jpg", "--extractor", "shape"], "lookalike index --extractor shape"),
        (
            ["photos/pets/cat.jpg", "--grid", "nowhere/out.png"],
            "cannot write 'nowhere/out.png': there is no folder nowhere",
        ),
        (["photos/pets/cat.jpg", "--grid", "out.docx"], "name a .png"),
    ):
        run = lookalike("search", *arguments, cwd=album.home)
        assert run.returncode == 2, (arguments, run.stderr)
        assert run.stderr.startswith("Error: ")
        assert message in run.stderr
        assert run.stderr.count("\n") == 1


def test_the_grid_is_saved_as_an_image(album: Album, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    run = lookalike("search", album.cat, "-k", "3", "--grid", out, cwd=album.home)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n") == 4
    with Image.open(out) as image:
        assert image.format == "PNG"
        assert image.width > image.height > 200


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_reader_that_closes_the_pipe_early_causes_no_error(album: Album) -> None:
    search = " ".join([*PROGRAM, "search", "photos/pets/cat.jpg", "--format", "jsonl"])
    for reader in ("head -n 1", "true"):
        run = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {search} | {reader}"],
            cwd=album.home,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert run.stderr == ""
        assert run.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_results_that_cannot_be_written_are_an_error(album: Album) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [*PROGRAM, "search", "photos/pets/cat.jpg"],
            cwd=album.home,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert run.returncode == 2
    assert run.stderr.startswith("Error: The results cannot be written to stdout: No space left")
    assert run.stderr.count("\n") == 1


def search_json(album: Album, *arguments: str | Path, **options: str) -> dict[str, Any]:
    run = lookalike("search", *arguments, "--format", "json", cwd=album.home, env=options)
    assert run.returncode == 0, run.stderr
    document: dict[str, Any] = json.loads(run.stdout)
    return document


def test_signs_and_weights_become_terms_of_the_query(album: Album) -> None:
    cat = "photos/pets/cat.jpg"
    for arguments, query in (
        ([cat, "-", "photos/1.png"], {"images": [cat], "not": ["photos/1.png"]}),
        ([cat, "-", "0.5:photos/1.png"], {"images": [cat], "not": ["0.5:photos/1.png"]}),
        ([cat, "--not", "photos/1.png"], {"images": [cat], "not": ["photos/1.png"]}),
        ([f"2:{cat}", "+", "--image", "photos/1.png"], {}),
        ([f"2:{cat}", "--image", "photos/1.png"], {"images": [f"2:{cat}", "photos/1.png"]}),
        (["pets/cat.jpg", "-k", "2"], {"images": ["pets/cat.jpg"]}),
        (["id:3"], {"images": ["id:3"]}),
        ([cat, "--where", "size > 10"], {"images": [cat], "where": "size > 10"}),
    ):
        if query:
            library = ["--library", "photos"] if "photos" not in arguments[0] else []
            assert search_json(album, *arguments, *library)["query"] == query
        else:
            run = lookalike("search", *arguments, cwd=album.home)
            assert run.returncode == 2 and "nothing after the '+'" in run.stderr


def test_two_spaces_are_fused_and_their_scores_are_given(album: Album) -> None:
    document = search_json(album, "photos/pets/cat.jpg", "--extractor", "color,pixels")
    assert document["ranked_by"] == "color+pixels"
    assert document["hits"][0]["scores_by_space"] == pytest.approx(
        {"color": 1.0, "pixels": 1.0}, abs=1e-4
    )
    run = lookalike(
        "search",
        "photos/pets/cat.jpg",
        "--extractor",
        "color,pixels",
        "--format",
        "csv",
        cwd=album.home,
    )
    assert (
        run.stdout.splitlines()[0]
        == "rank,path,score,similarity,relevance,metadata,scores_by_space"
    )


def test_a_rotated_image_is_found_in_any_orientation(album: Album, tmp_path: Path) -> None:
    with Image.open(album.cat) as image:
        image.rotate(90, expand=True).save(tmp_path / "turned.png")
    turned = tmp_path / "turned.png"
    library = ("--library", album.photos)
    document = search_json(album, turned, "--extractor", "pixels", "--any-orientation", *library)
    assert document["hits"][0]["path"] == "pets/cat.jpg"
    assert document["hits"][0]["orientation"] == "turned by 90° to the right"
    run = lookalike("search", turned, "--any-orientation", *library, cwd=album.home)
    assert "orientation" in run.stdout.splitlines()[0]


def test_an_image_on_standard_input_gives_the_hits_of_its_file(album: Album) -> None:
    for arguments in (["-"], ["--image", "-"]):
        run = subprocess.run(
            [*PROGRAM, "search", *arguments, "--library", "photos", "-k", "1", "--format", "paths"],
            input=album.cat.read_bytes(),
            cwd=album.home,
            env=environment(),
            capture_output=True,
        )
        assert run.stdout.strip() == b"photos/pets/cat.jpg", run.stderr
    empty = lookalike("search", "-", "--library", "photos", cwd=album.home)
    assert empty.returncode == 2 and "standard input is empty" in empty.stderr


def test_a_batch_writes_one_object_a_line_and_continues_after_failures(album: Album) -> None:
    (album.home / "queries.txt").write_text(
        "# a comment\n"
        "photos/pets/cat.jpg -k 2   # a comment\n"
        "\n"
        "photos/none.jpg\n"
        '"photos/unclosed\n'
        "photos/1.png - photos/2.png --where 'size < 0'\n"
        "photos/1.png --grid out.png\n"
        "photos/1.png -k 0\n"
    )
    batch = ["search", "--library", "photos", "--batch"]
    run = lookalike(*batch, "queries.txt", "-k", "3", cwd=album.home)
    assert run.returncode == 0, run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert [one["line"] for one in found] == [2, 4, 5, 6, 7, 8]
    assert found[0]["text"].startswith("photos/pets/cat.jpg")
    assert found[0]["hits"][0]["path"] == "pets/cat.jpg"
    assert len(found[0]["hits"]) == 2
    assert "photos/none.jpg" in found[1]["failure"] and "hits" not in found[1]
    assert "no closing quotation" in found[2]["failure"]
    assert found[3]["hits"] == []
    assert "--grid does not belong to one query" in found[4]["failure"]
    assert "-k" in found[5]["failure"]
    assert "4 of 6 queries could not be answered" in run.stderr
    alone = search_json(album, "photos/pets/cat.jpg", "-k", "2")
    assert found[0]["hits"] == alone["hits"]


def test_a_batch_comes_from_standard_input_too(album: Album) -> None:
    run = subprocess.run(
        [*PROGRAM, "search", "--batch", "-", "--library", "photos"],
        input="photos/1.png\n-\n",
        cwd=album.home,
        env=environment(),
        capture_output=True,
        text=True,
    )
    first, second = map(json.loads, run.stdout.splitlines())
    assert first["hits"][0]["path"] == "1.png"
    assert "nothing after the '-'" in second["failure"]
    nothing = lookalike("search", "--batch", "nowhere.txt", cwd=album.home)
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)
    assert "cannot read nowhere.txt" in nothing.stderr


def test_an_invalid_query_is_an_error_of_one_line(album: Album) -> None:
    cat = "photos/pets/cat.jpg"
    for arguments, message in (
        ([], "name an image to search with, text, or a filter"),
        (["red", "shoes"], "neither captions nor a space that understands text"),
        (["-", "fruit"], "only negative terms"),
        (
            [cat, "-fruit"],
            "put a space after the minus: - fruit; name a file of that name as ./-fruit",
        ),
        ([cat, "--where", "colour = 'red'"], "no field colour"),
        ([cat, "--region", "1,2,3"], "write X,Y,WIDTH,HEIGHT"),
        ([cat, "--region", "0,0,900,900"], "does not lie inside"),
        (["--text", "red", "--region", "0,0,1,1"], "a part of an image"),
        ([cat, "-k", "0"], "-k"),
        ([cat, "--diversity", "2"], "--diversity"),
        ([cat, "+"], "nothing after the '+'"),
        (["photos/pets"], "is a folder"),
        (["gone.jpg"], "no such file, and no such path in the library"),
        (["https://example.org/a.jpg"], "not fetched"),
        ([cat, "--batch", "x.txt", "--format", "csv"], "--batch writes one JSON object a line"),
    ):
        library = ["--library", "photos"]
        run = lookalike("search", *arguments, *library, cwd=album.home)
        assert run.returncode == 2, (arguments, run.stdout, run.stderr)
        assert run.stderr.startswith("Error: ")
        assert message in run.stderr
        assert run.stderr.count("\n") == 1


def test_nothing_found_names_the_best_relevance(tmp_path: Path) -> None:
    for number in range(40):
        draw(tmp_path / "photos" / f"{number}.png", number)
    assert lookalike("index", "photos", "--extractor", "color", cwd=tmp_path).returncode == 0
    search = ["search", "photos/3.png", "--where", "name <> '3.png'"]
    run = lookalike(*search, "--min-relevance", "near-copy", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("Nothing found that is at least near-copy; the best was ")
    run = lookalike(*search, "--where", "size < 0", cwd=tmp_path)
    assert run.returncode == 1 and "no image matches --where" in run.stderr
    captions = tmp_path / "captions.csv"
    captions.write_text("path,caption\nphotos/3.png,two cats\n")
    lookalike("index", "photos", "--metadata", "captions.csv", cwd=tmp_path)
    run = lookalike("search", "dogs", "--library", "photos", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("Nothing found: no caption or keyword has these words.")
    table = lookalike("search", "photos/3.png", "-k", "2", cwd=tmp_path).stdout.splitlines()
    assert table[0].split() == ["rank", "similarity", "relevance", "path"]
    assert table[1].split() == ["1", "1.000", "near-copy", "photos/3.png"]


def test_a_filter_alone_lists_images(album: Album) -> None:
    run = process("search", "--where", "width > 0", "-k", "3", cwd=album.photos)
    assert run.returncode == 0, run.stderr
    title, *lines = run.stdout.splitlines()
    assert title.split() == ["rank", "path"] and len(lines) == 3
    everything = lookalike("search", "--sort", "path", "-0", "-k", "99", cwd=album.photos)
    paths = everything.stdout.split("\0")[:-1]
    assert paths == sorted(paths) and len(paths) == 8
    last = lookalike("search", "--sort", "path", "--reverse", "-k", "1", "-0", cwd=album.photos)
    assert last.stdout == f"{paths[-1]}\0"
    document = json.loads(
        lookalike("search", "--where", "width > 0", "--format", "json", cwd=album.photos).stdout
    )
    assert (document["query"], document["searched_count"]) == ({"where": "width > 0"}, 8)
    assert {hit["similarity"] for hit in document["hits"]} == {None}
    wrong = lookalike("search", cwd=album.photos)
    assert wrong.returncode == 2 and "--where" in wrong.stderr
