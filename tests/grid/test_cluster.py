"""What a cluster is asked for: settings, and the scripts that come of them."""

from pathlib import Path

import pytest
import yaml

from lit_resnet.errors import InputError
from lit_resnet.grid import cluster, grid
from lit_resnet.grid.cluster import Cluster


@pytest.mark.parametrize("path", sorted((grid.shipped() / "clusters").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_files(path: Path):
    assert cluster.read(path).partition == "gpu"


def test_all_keys():
    text = (
        "{partition: gpu, account: vision, qos: 7, constraint: a100, gres: 'gpu:a100', cpus: 8, mem: 64G, hours: 0.5, "
        "parallel: 3, runs_per_job: 4, runs_per_gpu: 2, setup: [module load cuda], python: py, options: {nice: 100}}"
    )
    assert cluster.parse(yaml.safe_load(text), "x") == Cluster(
        *(
            "gpu",
            "vision",
            "7",
            "a100",
            "gpu:a100",
            8,
            "64G",
            0.5,
            3,
            4,
            2,
            ("module load cuda",),
            "py",
            {"nice": "100"},
        )
    )
    assert cluster.parse({}, "x") == Cluster()
    assert cluster.parse({"options": {"exclusive": None, "contiguous": True, "nice": 1}}, "x").options == {
        "exclusive": "",
        "contiguous": "",
        "nice": "1",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{partiton: gpu}", "x: unknown key partiton; did you mean partition? (known: partition, account"),
        ("{partition: [gpu]}", "x: partition is ['gpu']: write one word, as sbatch takes it"),
        ("{account: 'a b'}", "x: account is 'a b': write one word"),
        ("{cpus: 0}", "x: cpus is 0: write a whole number from 1"),
        ("{cpus: null}", "x: cpus is None: write a whole number from 1"),
        ("{parallel: '4'}", "x: parallel is '4': write a whole number from 1"),
        ("{hours: '12:00:00'}", "x: hours is '12:00:00': write a number of hours from 0.1, such as 12"),
        ("{hours: .nan}", "x: hours is nan: write a number of hours"),
        ("{hours: 0.01}", "x: hours is 0.01: write a number of hours from 0.1"),
        ("{gres: 'gpu:2'}", "x: gres is gpu:2: write its name without a number, such as gpu:a100"),
        ("{setup: module load cuda}", "x: setup is 'module load cuda': write a list of lines"),
        ("{options: [nice]}", "x: options is ['nice']: write a mapping of sbatch's options"),
        ("{options: {exclusive: false}}", "x: options is {'exclusive': False}: write a mapping of sbatch's options"),
        ("{options: {--nice: 1}}", "x: options is {'--nice': 1}: write a mapping of sbatch's options"),
        ("{options: {array: 0-3}}", "x: options.array: the launcher writes it itself; leave it out"),
        ("{options: {partition: gpu}}", "x: options.partition: write it as partition, beside options"),
        ("{runs_per_gpu: 4}", "x: runs_per_gpu is 4, but a job has 1 runs: write a runs_per_job of as many or more"),
    ],
)
def test_wrong_settings(text: str, message: str):
    with pytest.raises(InputError) as error:
        cluster.parse(yaml.safe_load(text), "x")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def write_grid(folder: Path, **content) -> str:
    (folder / "recipe.yaml").write_text("{}")
    (folder / "tiny.yaml").write_text(
        yaml.safe_dump({"base": "recipe.yaml", "seeds": [0], "include": {"a": {}}} | content)
    )
    return str(folder / "tiny.yaml")


def test_a_grid_says_it_itself_or_names_a_file_or_nothing(tmp_path: Path):
    assert grid.load(write_grid(tmp_path)).cluster == Cluster()
    assert grid.load(write_grid(tmp_path, cluster={"partition": "p", "cpus": 2})).cluster == Cluster("p", cpus=2)
    (tmp_path / "ours.yaml").write_text("partition: q")
    assert grid.load(write_grid(tmp_path, cluster="ours.yaml")).cluster == Cluster("q")
    assert grid.load(write_grid(tmp_path, cluster="gpu")).cluster.hours == 12
    with pytest.raises(InputError, match="tiny.yaml: cluster: unknown key gpus"):
        grid.load(write_grid(tmp_path, cluster={"gpus": 2}))
    with pytest.raises(InputError, match="gpuu: no such cluster file; did you mean gpu?"):
        grid.load(write_grid(tmp_path, cluster="gpuu"))
