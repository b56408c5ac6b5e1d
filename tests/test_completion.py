"""What a shell completes of a command line, and that it need not wait for torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lit_resnet import cli
from lit_resnet.grid.grid import shipped
from lit_resnet.runfolder import zoo
from lit_resnet.verbs import completion

TRAINED = "mine/plain-20-seed0"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder: two grids, the second damaged, a run, and files that are neither."""
    monkeypatch.chdir(tmp_path)
    Path("base.yml").write_text("{}")
    cells = {"plain-20": {}, "plain-56": {}, "res-lr=0.1": {"seeds": [3]}}
    Path("mine.yaml").write_text(yaml.safe_dump({"base": "base.yml", "seeds": [0, 1], "include": cells}))
    Path("torn.yaml").write_text('base: "ba')
    Path("weights.pth").touch()
    Path(".hidden").mkdir()
    Path(TRAINED).mkdir(parents=True)


def completed(line: str) -> list[str]:
    """What the last word of a line can become, with those before it."""
    finder, found = completion.Finder(cli._parser(line.split())), []
    while (one := finder.rl_complete(line, len(found))) is not None:
        found.append(one.removeprefix(line[: line.rfind(" ") + 1]).strip())
    return sorted(found)


SHIPPED = [path.stem for path in shipped().glob("*.yaml")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("la", ["launch"]),
        ("--v", ["--version"]),
        ("launch ", [*SHIPPED, "mine.yaml", "mine/", "torn.yaml"]),
        ("launch fig6-", ["fig6-quarter", "fig6-short"]),
        ("launch ./mi", ["./mine.yaml", "./mine/"]),
        ("launch --on ", ["local", "slurm"]),
        ("launch --on slurm --cluster g", ["gpu"]),
        ("launch --jobs", ["--jobs", "--jobs-per-gpu"]),
        ("launch --jobs ", []),
        ("plan mine.yaml p", ["plain-20", "plain-56"]),
        ("plan mine.yaml res-lr=", ["res-lr=0.1"]),
        ("plan mine.yaml plain-20-", ["plain-20-seed0", "plain-20-seed1"]),
        ("plan mine.yaml --root mine plain-20 plain-5", ["plain-56"]),
        ("run mine.yaml 'plain-*", []),
        ("run mine.yaml p*", []),
        ("run torn.yaml ", []),
        ("run nowhere.yaml ", []),
        ("logs fig6 plain-1", ["plain-110"]),
        ("status mine.yaml pl", ["plain-20", "plain-56"]),
        ("report mine.yaml pl", ["plain-20", "plain-56"]),
        ("report fig6 table", [name for name in SHIPPED if name.startswith("table")]),
        ("report fig6 --format j", ["json"]),
        ("wandb sync mine.", ["mine.yaml"]),
        ("predict ", [*zoo.shipped(), "mine/"]),
        ("evaluate Res", [name for name in zoo.shipped() if name.startswith("Res")]),
        ("predict mine/", [f"{TRAINED}/"]),
        (f"predict {TRAINED} w", ["weights.pth"]),
        ("status --root .", [".hidden/"]),
        ("status --root nowhere/", []),
        ("fit --config cifar10-", ["cifar10-quarter", "cifar10-short"]),
        ("fit --model.net.d", ["--model.net.depth"]),
        ("fit --che", ["--check"]),
        ("test --ch", []),
        ("test --ckpt_path we", ["weights.pth"]),
    ],
)
def test_a_word_is_completed(line: str, words: list[str]):
    assert completed(line) == sorted(words)


@pytest.mark.parametrize(("words", "answer"), [("plain-2", "plain-20 "), ("--root=mi", "--root=mine/")])
def test_the_shell_is_answered_without_torch(words: str, answer: str, tmp_path: Path):
    """All verbs are on its line."""
    script = (
        "import os, sys; os._exit = sys.exit\n"
        "from lit_resnet.cli import main\n"
        "try:\n    main()\nfinally:\n    print('\\n'.join(sys.modules))"
    )
    line = f"lit-resnet run mine.yaml {' '.join(cli.VERBS)} {words}"
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1"}
    asked["_ARGCOMPLETE_STDOUT_FILENAME"] = str(tmp_path / "answer")
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert (tmp_path / "answer").read_text() == answer
    modules = {name.partition(".")[0] for name in done.stdout.splitlines()}
    assert "argcomplete" in modules
    assert not modules & {"torch", "lightning", "wandb", "torchvision", "fvcore", "matplotlib"}


@pytest.mark.parametrize("module", ["cli", "__main__"])
def test_global_completion_finds_its_mark(module: str):
    assert "PYTHON_ARGCOMPLETE_OK" in Path(cli.__file__).with_name(f"{module}.py").read_text()[:1024]
