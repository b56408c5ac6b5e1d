"""The doctor: a process that crashes or hangs is a finding, and each check fails when what it looks at is broken."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from slurm_rig import Rig

from lit_resnet.cli import main
from lit_resnet.doctor import (
    alone,
    checks,
    device,
    disk,
    examination,
    exchange,
    images,
    precision,
    sent,
    settings,
    side,
    slurm,
    software,
    tracker,
    training,
)
from lit_resnet.doctor.finding import Finding, Site, State, advice, ok, unknown, wrong
from lit_resnet.errors import Unreachable
from lit_resnet.grid import cluster
from lit_resnet.grid.cluster import Cluster
from lit_resnet.probes.limits import Hardware
from lit_resnet.runfolder.lock import Lock
from lit_resnet.training.classifier import LitResNet

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, Cluster(gres=None, cpus=1))


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch, one_thread):
    """Processes are forked from this one: what a test breaks is broken there, too."""
    for module in (alone, disk, side):
        monkeypatch.setattr(module, "CONTEXT", multiprocessing.get_context("fork"))
    monkeypatch.setattr(examination, "start_server", lambda: None)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write a stand-in for a program, found before the real one."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def write(name: str, script: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


def states(found: list[Finding]) -> list[str]:
    return [finding.state for finding in found]


# -- processes


def hangs() -> None:
    time.sleep(600)


def crashes() -> None:
    os.write(2, b"the driver says no\n")  # as a library in C does
    os.kill(os.getpid(), signal.SIGKILL)


def leaves() -> None:
    os._exit(3)


def raises() -> None:
    raise RuntimeError("no\nsuch device")


def starts(file: Path) -> None:
    alone.alone(writes, file, seconds=60)


def writes(file: Path) -> None:
    while True:
        file.write_text(str(time.monotonic()))
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (hangs, "no answer after 0.5 s"),
        (crashes, "its process was killed by SIGKILL: the driver says no"),
        (leaves, "its process ended with exit code 3"),
        (raises, "RuntimeError: no such device"),
    ],
)
def test_what_becomes_of_a_process_is_told_in_one_line(function: Callable, words: str):
    with pytest.raises(alone.Broken) as error:
        alone.alone(function, seconds=0.5 if function is hangs else 30)
    assert str(error.value) == words


def test_processes_of_a_process_end_with_it(tmp_path: Path):
    with pytest.raises(alone.Broken, match="no answer"):
        alone.alone(starts, tmp_path / "file", seconds=1.0)
    time.sleep(0.5)
    last = (tmp_path / "file").read_text()
    time.sleep(0.3)
    assert (tmp_path / "file").read_text() == last


def test_a_check_that_breaks_is_a_finding_and_the_others_are_made(site: Site, monkeypatch: pytest.MonkeyPatch):
    here = {name: checks.Check(name, "", f"test_doctor:{name}", 30, "mend it") for name in ("crashes", "works")}
    monkeypatch.setattr(examination, "CHECKS", list(here.values()))
    monkeypatch.setitem(globals(), "works", lambda site: [ok("fine")])
    monkeypatch.setitem(globals(), "crashes", lambda site: leaves())
    found = [(check.name, finding) for check, finding in examination.examine(site, [], say=lambda _: None)]
    assert found == [("crashes", wrong("its process ended with exit code 3", "mend it")), ("works", ok("fine"))]


def test_every_finding_that_is_not_ok_says_what_to_do():
    with pytest.raises(ValueError, match="says what to do"):
        Finding("wrong", "it is broken")


# -- software


def test_software(site: Site):
    (found,) = software.look(site)
    assert found.state == "ok"
    assert f"torch {torch.__version__.partition('+')[0]}" in found.text


@pytest.mark.parametrize(
    ("env", "cuda", "words"),
    [
        ({}, None, "there is an NVIDIA driver, but torch is built without CUDA"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "13.0", "CUDA_VISIBLE_DEVICES hides all GPUs"),
        ({}, "13.0", "torch can use no GPU: "),
    ],
)
def test_a_driver_whose_gpu_torch_cannot_use(monkeypatch, tmp_path: Path, site: Site, env, cuda, words):
    if torch.cuda.is_available():
        pytest.skip("torch can use the GPU here")
    monkeypatch.setattr(software, "DRIVER_FILES", (tmp_path,))
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    (found,) = software.look(site)
    assert found.state == "wrong"
    assert words in found.text


def test_a_torchvision_for_another_torch(monkeypatch, site: Site):
    monkeypatch.setattr(torch.ops, "torchvision", SimpleNamespace())
    (found,) = software.look(site)
    assert found.state == "wrong"
    assert "operators are missing" in found.text


@pytest.mark.parametrize(
    ("built", "capability", "runs"),
    [
        (["sm_80", "sm_90"], (9, 0), True),
        (["sm_80", "sm_90"], (8, 9), True),
        (["sm_80", "sm_90"], (7, 5), False),
        (["sm_80", "sm_90"], (10, 0), False),
        (["sm_80", "compute_90"], (10, 0), True),
        (["sm_90a"], (9, 0), True),
        (["sm_100f", "nonsense"], (10, 3), True),
    ],
)
def test_which_gpus_code_runs_on(built: list[str], capability: tuple[int, int], runs: bool):
    assert software.runs_on(built, *capability) == runs


# -- device


def test_a_gpu_that_somebody_else_uses(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (20 << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "device", lambda _: multiprocessing.get_context().Lock())
    monkeypatch.setattr(device, "hardware", lambda *_: Hardware(3e12, 4e14))
    found = device.gpu(0)
    assert found.state == "advice"
    assert "copies 3,000 GB/s, 400 T multiply-adds/s" in found.text
    assert "60.0 GiB of it are taken" in found.text
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (79 << 30, 80 << 30))
    assert device.gpu(0).state == "ok"


def test_cores_that_others_use_or_a_container_may_not(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(device, "hardware", lambda *_: Hardware(1e10, 1e11))
    monkeypatch.setattr(device, "cores", lambda: tuple(range(8)))
    monkeypatch.setattr(device, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0, 1.0, 1.0))
    assert device.cpu().state == "ok"
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert "may use only 2.5 cores' time" in device.cpu().text
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert device.cpu().state == "ok"
    monkeypatch.setattr(os, "getloadavg", lambda: (7.5, 1.0, 1.0))
    assert "others keep 6.5 cores busy" in device.cpu().text


# -- precision


def test_bfloat16_here():
    assert 1e-4 < precision.error_of(CPU, torch.bfloat16) < 2 * torch.finfo(torch.bfloat16).eps
    assert precision.error_of(CPU, torch.float32) < 1e-5


def test_wrong_products_and_a_gain_that_is_none(monkeypatch):
    monkeypatch.setattr(precision, "images_per_second", lambda *_: 150.0)
    monkeypatch.setattr(precision, "error_of", lambda *_: 0.003)
    assert precision.bfloat16(CPU, 100.0).measured == {"bf16_gain": 1.5}
    assert "not worth it" in precision.bfloat16(CPU, 150.0).text
    monkeypatch.setattr(precision, "error_of", lambda *_: 0.1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert precision.bfloat16(CPU, 100.0).state == precision.tf32(GPU, 100.0).state == "wrong"
    monkeypatch.setattr(precision, "error_of", lambda *_: float("nan"))
    assert precision.bfloat16(CPU, 100.0).state == "wrong"
    assert not torch.backends.cudnn.allow_tf32
    assert precision.tf32(CPU, 100.0).state == "unknown"


# -- training


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(training, "DEPTH", 8)
    monkeypatch.setattr(training, "BATCH", 8)


def test_a_training_is_repeated_and_resumed(small, site: Site):
    assert states(training.repeat(site)) == ["ok"]
    assert states(training.resume(site)) == ["ok"]


def test_a_device_that_computes_otherwise_each_time(small, site: Site, monkeypatch):
    loss = LitResNet.loss

    def noisy(self: LitResNet, batch) -> tuple:
        found, *rest = loss(self, batch)
        return (found * (1 + 1e-3 * (os.getpid() % 1000)), *rest)

    monkeypatch.setattr(LitResNet, "loss", noisy)
    (found,) = training.repeat(site)
    assert found.state == "wrong"
    assert "train_loss of iteration 3 is " in found.text, found.text


def test_a_training_that_nobody_kills(small, site: Site, monkeypatch):
    monkeypatch.setattr(training, "KILLED", 99)
    assert states(training.resume(site)) == ["unknown"]


def test_a_training_that_resumes_otherwise(site: Site, monkeypatch):
    def trained(path: str, saved: int = 0, killed: int = 0) -> training.Outcome:
        if killed:
            raise alone.Broken("its process was killed by SIGKILL")
        return [{"step": 12, "train_loss": 1.5 if path.endswith("whole") else 1.25}], {}

    monkeypatch.setattr(training, "trained", trained)
    (found,) = training.resume(site)
    assert (found.state, "train_loss of iteration 12 is 1.5 and 1.25" in found.text) == ("wrong", True)


def test_weights_that_differ_alone():
    rows = [{"step": 1, "train_loss": 2.0, "images_per_second": 3.0}]
    assert training.different((rows, {"fc": "a"}), ([rows[0] | {"images_per_second": 4.0}], {"fc": "a"})) == ""
    assert "1 of 1 tensors of weights, such as fc" in training.different((rows, {"fc": "a"}), (rows, {"fc": "b"}))


def test_a_compiled_net_is_compared():
    def outcome(loss: float, speed: float) -> training.Outcome:
        return [{"train_loss": loss, "images_per_second": speed}, {"train_loss": None, "images_per_second": None}], {}

    good = training.compared(outcome(2.0, 100.0), outcome(2.001, 180.0))
    assert (good.state, good.measured) == ("ok", {"compile_gain": 1.8})
    assert training.compared(outcome(2.0, 100.0), outcome(2.2, 180.0)).state == "wrong"
    assert training.compared(outcome(2.0, 100.0), outcome(float("nan"), 180.0)).state == "wrong"


def test_a_net_that_cannot_be_compiled(site: Site, monkeypatch):
    def trained(path: str, window: int, compile: bool = False) -> training.Outcome:
        if compile:
            raise alone.Broken("InputError: model.speed.compile: this net cannot be compiled here")
        return [], {}

    monkeypatch.setattr(training, "trained", trained)
    monkeypatch.setattr(training, "gpu_or_cpu", lambda: torch.device("cpu"))
    assert states(training.compiled(site)) == ["unknown"]
    monkeypatch.setattr(training, "gpu_or_cpu", lambda: torch.device("cuda"))
    with pytest.raises(alone.Broken):  # and the check says what to do
        training.compiled(site)


# -- processes together


def test_runs_side_by_side():
    assert side.gpu({1: 100.0, 2: 180.0, 4: 190.0}).measured == {"runs_per_gpu": 2}
    assert side.gpu({1: 100.0, 2: 105.0, 4: 90.0}).measured == {"runs_per_gpu": 1}
    assert side.cpu(8, 100.0, 300.0).measured == {"jobs": 8}
    assert side.cpu(8, 300.0, 100.0).measured == {"jobs": 1}


def test_two_processes_exchange_gradients(site: Site, monkeypatch):
    monkeypatch.setattr(exchange, "FLOATS", 1000)
    (found,) = exchange.look(site)
    assert found.state == "ok"
    if torch.cuda.device_count() < 2:
        assert "NCCL needs two GPUs, and was not checked" in found.text
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: None)
    (found,) = exchange.look(site)
    assert found.state == "wrong"


# -- images


def test_jpegs_of_a_gpu(site: Site, monkeypatch):
    monkeypatch.setattr(images, "SECONDS", 0.01)
    files = [images._jpeg(images.picture(0))]
    assert images.cores(files).state == "ok"
    right = images.decode_jpeg(files, images.ImageReadMode.RGB)
    monkeypatch.setattr(images, "gpu_or_cpu", lambda: GPU)
    monkeypatch.setattr(images.timing, "synchronize", lambda _: None)
    decoded: dict[str, int | None] = {"off": 0}

    def decode(files, mode, device=CPU):
        if (off := decoded["off"]) is None:
            raise RuntimeError("nvjpeg: no such thing")
        return [(image.int() + (off if device is GPU else 0)).clamp(0, 255).byte() for image in right]

    monkeypatch.setattr(images, "decode_jpeg", decode)
    assert images.gpu(files).state == "ok"
    decoded["off"] = 9
    assert "differ from the CPU's by" in images.gpu(files).text
    decoded["off"] = None
    assert "nvjpeg: no such thing" in images.gpu(files).text


# -- disk


def test_a_disk_that_is_well(site: Site):
    found = disk.look(site)
    assert states(found) == [*["ok"] * 4, "unknown"]
    assert list(site.root.iterdir()) == []


def test_a_disk_that_is_not(site: Site, monkeypatch, tmp_path: Path):
    with monkeypatch.context() as patch:
        patch.setattr(disk, "write_whole", lambda path, text: path.write_text("0"))
        assert disk.files(tmp_path, "ext4").state == "wrong"
        patch.setattr(disk, "write_whole", lambda path, text: (path.write_text(text), time.sleep(0.06)))
        assert disk.files(tmp_path, "ext4").state == "advice"
        patch.setattr(disk, "clock", lambda _: time.time() - 60)
        assert "60 s behind this machine's" in disk.clocks(tmp_path).text
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 30))
        assert disk.room(tmp_path).state == "advice"

        class Open(Lock):
            def _acquire(self, lease, timeout: float) -> None:
                self.file.touch()

            def held(self, timeout: float):
                return monkeypatch.context()

        patch.setattr(disk, "Lock", Open)
        assert "two processes hold one lock" in disk.locks(tmp_path).text

        def read_only(**_):
            raise OSError(30, "Read-only file system")

        patch.setattr(disk.tempfile, "TemporaryDirectory", read_only)
        (found,) = disk.look(site)
        assert (found.state, found.text) == ("wrong", f"{site.root}: Read-only file system")


def test_whether_another_machines_file_is_seen(site: Site, monkeypatch):
    monkeypatch.setattr(disk, "SEEN_SECONDS", 0.3)
    there = Site(site.root, site.cluster, token="abc")
    assert states(disk.sent(there)) == ["wrong"]
    (site.root / disk.TOKEN).write_text("of another")
    assert states(disk.sent(there)) == ["wrong"]
    (site.root / disk.TOKEN).write_text("abc")
    assert states(disk.sent(there)) == ["ok"]


def test_file_systems(tmp_path: Path):
    home = tmp_path / "home of all"
    home.mkdir()
    mounts = tmp_path / "mounts"
    place = str(home).replace(" ", r"\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/home {place} nfs4 rw 0 0\nproc /proc proc rw 0 0\n")
    assert disk.file_system(home, mounts) == "nfs4"
    assert disk.file_system(tmp_path, mounts) == "ext4"
    assert disk.file_system(tmp_path, tmp_path / "none") == "unknown"
    assert (disk.shared("nfs4"), disk.shared("fuse.sshfs"), disk.shared("ext4")) == (True, True, False)


# -- Slurm and W&B


def test_slurm_that_is_not_there_or_refuses(programs, site: Site, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        assert states(slurm.look(site)) == ["unknown"]
    programs("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    programs("sinfo", "echo 'sinfo: error: Unable to contact slurm controller' >&2; exit 1")
    (found,) = slurm.look(site)
    assert found.text == "Slurm is installed, but does not answer: Unable to contact slurm controller"
    programs("sinfo", "echo 'gpu*|4|gpu:a100:8(S:0-1)|2-00:00:00|up'; echo 'cpu|9|(null)|infinite|up'")
    partitions, job = slurm.look(site)
    assert "gpu* (4 nodes, gpu:a100:8, up to 2-00:00:00), cpu (9 nodes, no GPUs, up to infinite)" in partitions.text
    assert (job.state, job.text) == ("wrong", "Slurm would not take a job: invalid partition specified: gpu")
    programs("sbatch", "echo 'sbatch: Job 7 to start at 2026-11-29T01:00:00 using 1 processors on nodes n1 in p' >&2")
    programs("sinfo", "echo 'gpu*|4|gpu:8|1:00|down'")
    partitions, job = slurm.look(site)
    assert (partitions.state, job.text) == ("wrong", "a job would start at 2026-11-29T01:00:00 on n1")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert "this is job 8" in slurm.look(site)[0].text


def test_wandb(site: Site, monkeypatch):
    said = {"mode": "disabled"}
    monkeypatch.setattr(tracker.session, "wanted", lambda: said["mode"])
    monkeypatch.setattr(tracker.session, "entity", lambda: "lab")
    assert states(tracker.look(site)) == ["unknown"]
    said["mode"] = "offline"
    assert states(tracker.look(site)) == ["unknown"]
    said["mode"] = "online"
    assert "runs go to lab/lit-resnet" in tracker.look(site)[0].text

    def away() -> str:
        raise Unreachable("the server does not answer")

    monkeypatch.setattr(tracker.session, "entity", away)
    assert tracker.look(site)[0].text == "W&B: the server does not answer"


# -- what is recommended, and the verb


def test_settings_come_from_what_was_measured():
    found = [
        ok("", gpus=2, bf16_gain=1.5),
        ok("", cores=16, workers=8),
        ok("", compile_gain=1.02),
        ok("", runs_per_gpu=4),
    ]
    *lines, last = settings.recommended(found, Cluster(gres="gpu:a100")).split("\n", 2)
    assert lines == ["lit-resnet launch GRID --jobs-per-gpu 4 --set trainer.precision=bf16-mixed", "cluster file:"]
    content = yaml.safe_load(last)
    assert content == {"gres": "gpu:a100", "cpus": 8, "runs_per_job": 4, "runs_per_gpu": 4}
    cluster.parse(content, "recommended")
    assert settings.recommended([ok("", jobs=2, bf16_gain=1.0)], Cluster()) == "lit-resnet launch GRID --jobs 2"
    assert settings.recommended([unknown("nothing")], Cluster()) == ""


@pytest.mark.parametrize("worst", ["wrong", "advice"])
def test_the_verb(monkeypatch, capsys, tmp_path: Path, worst: State):
    monkeypatch.setenv("COLUMNS", "80")
    found = [ok("a word " * 30), advice("slow", "wait"), unknown("no GPU"), Finding(worst, "\x1b[31mit", "mend it")]
    monkeypatch.setattr(examination, "examine", lambda site, names, say: ((checks.CHECKS[0], f) for f in found))
    assert main(["doctor", "--root", str(tmp_path)]) == (1 if worst == "wrong" else 0)
    out, err = capsys.readouterr()
    assert "-> mend it" in out
    assert "\x1b[31m" not in out
    count = {"wrong": "1 wrong, 1", "advice": "0 wrong, 2"}[worst]
    assert f"{count} to be made better, 1 not checked" in err
    main(["doctor", "--root", str(tmp_path), "--format", "json"])
    rows = json.loads(capsys.readouterr().out)
    assert [(row["check"], row["state"]) for row in rows] == [
        ("software", state) for state in ("ok", "advice", "unknown", worst)
    ]


def test_wrong_words(capsys, tmp_path: Path, monkeypatch):
    with pytest.raises(SystemExit):
        main(["doctor", "--only", "gpu"])
    assert "invalid choice: 'gpu'" in capsys.readouterr().err
    assert main(["doctor", "--cluster", str(tmp_path / "none.yaml")]) == 2
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["doctor", "--on", "slurm", "--root", str(tmp_path)]) == 2
    assert "no sbatch on this machine" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_node_is_looked_at(slurm: Rig, tmp_path: Path, capsys):
    """Through a real Slurm, with processes as users have them."""
    (tmp_path / "here.yaml").write_text("gres: null\ncpus: 1\n")
    words = ["doctor", "--on", "slurm", "--root", str(tmp_path / "runs"), "--cluster", str(tmp_path / "here.yaml")]
    code = main([*words, "--only", "disk", "slurm", "--format", "json"])
    out, err = capsys.readouterr()
    assert code == 0, out + err
    rows = [(row["check"], row["text"]) for row in json.loads(out)]
    assert any(check == "slurm" and text.startswith("this is job ") for check, text in rows)
    assert ("disk", "a file that the machine wrote which submitted this job is seen here") in rows
    assert rows[-1][1].startswith("a file of the node is seen on ")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_job_that_ends_without_findings_is_told(slurm: Rig, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(sent, "UNSEEN_SECONDS", 0.5)
    (tmp_path / "here.yaml").write_text("gres: null\ncpus: 1\npython: /nowhere/python\n")
    words = ["doctor", "--on", "slurm", "--root", str(tmp_path / "runs"), "--cluster", str(tmp_path / "here.yaml")]
    assert main(words) == 1
    assert "has ended without findings: see " in capsys.readouterr().err
