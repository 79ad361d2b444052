"""The program around the commands: help, lazy imports, wrong use, errors."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.cli.program_runner import environment
from tests.cli.program_runner import lookalike as run_program

import lookalike
from lookalike.cli import open_library
from lookalike.cli.program import SECTIONS, program

SOURCE = Path(lookalike.__file__).parents[1]

HEAVY = ("numpy", "cv2", "PIL", "onnxruntime", "torch", "matplotlib", "faiss", "fastapi", "sqlite3")


def commands(
    command: click.Command, name: str = "lookalike"
) -> Iterator[tuple[str, click.Command]]:
    """Yield every command and command group with its full name."""
    yield name, command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for word in command.list_commands(ctx):
            below = command.get_command(ctx, word)
            assert below is not None
            yield from commands(below, f"{name} {word}")


@pytest.mark.parametrize("arguments", [["--help"], ["index", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from lookalike.cli.program import program\n"
        f"try:\n    program.main({arguments!r}, prog_name='lookalike')\n"
        "finally:\n"
        f"    loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    print('loaded:', loaded, file=sys.stderr)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0
    assert run.stderr == "loaded: []\n"
    assert "lookalike" in run.stdout


def test_a_search_loads_nothing_that_only_other_commands_need() -> None:
    others = [
        "PIL", "cv2", "simplejpeg", "onnxruntime", "matplotlib", "filelock", "urllib.request", "ssl",
        "importlib.metadata", "lookalike.images.decode", "lookalike.indexing", "lookalike.duplicates",
        "lookalike.models.download", "lookalike.stores.filters", "lookalike.stores.local.writer",
    ]  # fmt: skip
    code = (
        "import sys\n"
        "import lookalike.library\n"
        "from lookalike.cli import search\n"
        "from lookalike.extractors import load\n"
        "load('color')\n"
        f"print([name for name in {others!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stderr, run.stdout) == ("", "[]\n")


@pytest.mark.parametrize(
    ("name", "command"), [*commands(program)], ids=lambda value: str(value)[:40]
)
def test_every_command_and_option_has_help(name: str, command: click.Command) -> None:
    assert command.help, f"{name} has no help"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts} has no help"


def test_every_command_file_is_in_the_list_of_commands() -> None:
    import lookalike.cli

    folder = Path(lookalike.cli.__file__).parent
    files = {file.stem.replace("_", "-") for file in folder.glob("*.py") if command_in(file)}
    assert files == {name for names in SECTIONS.values() for name in names}


def command_in(file: Path) -> bool:
    return "\ndef command(" in file.read_text()


def test_the_help_page_shows_every_command_with_a_whole_sentence() -> None:
    page = CliRunner().invoke(program, ["--help"], terminal_width=100).stdout
    for names in SECTIONS.values():
        for name in names:
            (line,) = (line for line in page.splitlines() if line.startswith(f"  {name} "))
            assert line.endswith("."), line
            assert "..." not in line


@pytest.mark.parametrize("module", ["lookalike", "lookalike.cli"])
def test_the_program_can_be_run_as_a_module(module: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True
    )
    assert run.stdout == f"lookalike {lookalike.__version__}\n"


def test_the_version_is_printed() -> None:
    run = CliRunner().invoke(program, ["--version"])
    assert run.stdout == f"lookalike {lookalike.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serach"], "There is no command 'serach'. Did you mean 'search'? See: lookalike --help"),
        (["xyz"], "There is no command 'xyz'. See: lookalike --help"),
        (["--bogus"], "No such option"),
        (["index", "--librari"], "No such option '--librari'. Did you mean '--library'? See: "),
        (["search", "--exat"], "No such option '--exat'. Did you mean"),
        (
            ["index"],
            "there is no library here or in a folder above; make one with: lookalike index FOLDER",
        ),
        (["search"], "name an image to search with, text, or a filter: lookalike search cat.jpg"),
        (["search", "-k", "0", "a.jpg"], "Invalid value for '-k'"),
        (
            ["search", "-k", "many", "a.jpg"],
            "Invalid value for '-k': 'many' is not a whole number.",
        ),
        (["index", ".", "--timeout", "abc"], "'abc' is not a number. See: lookalike index --help"),
        (["search", "--similarity", "manhattan", "a.jpg"], "Invalid value for '--similarity'"),
        (["search", "-0", "--format", "json", "a.jpg"], "-0 writes paths: leave out --format json"),
        (["search", "."], "'.' is a folder: name an image in it"),
        (
            ["index", ".", "--max-memory", "much"],
            "'much' is not a size; write for example 500M or 4G",
        ),
        (["index", ".", "--max-memory", "0G"], "'0G' is not a size"),
        (["index", ".", "--workers", "0"], "Invalid value for '--workers'"),
        (["index", ".", "--timeout", "0"], "Invalid value for '--timeout'"),
        (["failures", "--outcome", "lost"], "Invalid value for '--outcome'"),
    ],
)
def test_wrong_use_is_an_error_of_one_line_with_exit_code_2(
    arguments: list[str], message: str
) -> None:
    run = CliRunner().invoke(program, arguments, prog_name="lookalike")
    assert run.exit_code == 2
    assert run.stdout == ""
    assert run.stderr.startswith("Error: ")
    assert message in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_file_or_folder_instead_of_a_command_suggests_a_command(
    tmp_path: Path,
) -> None:
    image = tmp_path / "cat.jpg"
    image.touch()
    run = CliRunner().invoke(program, [str(image)])
    assert run.exit_code == 2
    assert f"lookalike search {image}" in run.stderr
    run = CliRunner().invoke(program, [str(tmp_path)])
    assert run.exit_code == 2
    assert f"lookalike index {tmp_path}" in run.stderr


def test_the_program_without_arguments_shows_its_help_and_exits_with_2() -> None:
    run = CliRunner().invoke(program, [])
    assert run.exit_code == 2
    assert run.stdout == ""
    assert "lookalike index ." in run.stderr


@pytest.mark.parametrize("group", ["ann", "benchmark"])
def test_a_command_group_without_arguments_shows_its_help_and_exits_with_2(group: str) -> None:
    run = CliRunner().invoke(program, [group], prog_name="lookalike")
    assert (run.exit_code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"Usage: lookalike {group} [OPTIONS] COMMAND")
    assert "Commands:\n" in run.stderr


def test_a_library_given_without_its_option_suggests_the_option() -> None:
    run = CliRunner().invoke(program, ["info", "photos"], prog_name="lookalike")
    assert run.stderr == (
        "Error: Got unexpected extra argument (photos). Name the library with --library DIR. "
        "See: lookalike info --help\n"
    )


def fail_to_open(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every command fail with this error when it opens the library."""

    def fail(*_: object, read_only: bool) -> None:
        raise error

    monkeypatch.setattr(open_library, "open_library", fail)


def test_a_bug_is_shown_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_open(monkeypatch, ZeroDivisionError("a bug"))
    run = CliRunner().invoke(program, ["info"])
    assert isinstance(run.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "secret/library"),
            "no permission for secret/library: change its permissions or choose another path\n",
        ),
        (
            OSError(errno.EIO, "Input/output error", "photos/.lookalike"),
            "photos/.lookalike: input/output error; fix that, or choose another path\n",
        ),
        (MemoryError(), "there is not enough memory"),
    ],
)
def test_errors_of_the_operating_system_are_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, message: str
) -> None:
    fail_to_open(monkeypatch, error)
    run = CliRunner().invoke(program, ["info"])
    assert run.exit_code == 2
    assert run.stderr.startswith(f"Error: {message}")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [("500", 500), ("4G", 4 << 30), ("500M", 500 << 20), ("1.5 GiB", 3 << 29), ("2kb", 2048)],
)
def test_memory_sizes_may_have_a_unit(text: str, size: int) -> None:
    from lookalike.cli import parameters

    assert parameters.memory(text) == size


def test_pixel_limits_may_have_a_unit() -> None:
    from lookalike.cli import parameters

    assert parameters.pixels("100M") == 100_000_000


@pytest.mark.skipif(os.name != "posix", reason="streams are closed by a shell")
def test_closed_standard_streams_are_no_error() -> None:
    """No file that is opened later may get the number of stdout, and be written into."""
    command = f"{sys.executable} -m lookalike.cli models <&- >&- 2>&-"
    run = subprocess.run(["sh", "-c", command], env=os.environ | {"PYTHONPATH": str(SOURCE)})
    assert run.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps the folder that somebody is in")
def test_a_deleted_working_directory_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    run = CliRunner().invoke(program, ["info"])
    assert run.exit_code == 2
    assert run.stderr == ("Error: the current folder no longer exists: change to another\n")


BASH = """
eval "$(lookalike completion bash)"
compopt() { kind="$2"; }
complete_words() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); kind=
  _lookalike_completion lookalike; echo "${COMPREPLY[*]}|$kind"
}
complete_words lookalike se
complete_words lookalike search --min-relevance ''
complete_words lookalike index -e color,sh
complete_words lookalike search ca
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_commands_values_extractors_and_files(tmp_path: Path) -> None:
    program = tmp_path / "lookalike"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lookalike.cli "$@"\n')
    program.chmod(0o755)
    env = {**environment(), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(["bash", "-c", BASH], capture_output=True, text=True, env=env, check=True)
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "search serve|",
        "weak plausible strong near-copy|",
        "color,shape|",
        "|default",
    ]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_of_other_shells_call_the_program(shell: str, tmp_path: Path) -> None:
    script = run_program("completion", shell, cwd=tmp_path).stdout
    assert f"_LOOKALIKE_COMPLETE={shell}_complete" in script
    if installed := shutil.which(shell):
        subprocess.run([installed, "-n"], input=script, text=True, check=True)
