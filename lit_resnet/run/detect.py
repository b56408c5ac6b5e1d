"""Runs of detection: what their last model finds, and how it is judged (Tables 7 to 9)."""

import argparse
import io
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from lit_resnet.data.boxes import Annotations, Found
from lit_resnet.data.boxes.module import BoxData
from lit_resnet.data.boxes.stream import Sizes
from lit_resnet.data.photographs import read_photograph, resize
from lit_resnet.data_sets import MOST_PIXELS
from lit_resnet.errors import InputError
from lit_resnet.evaluation import MULTI_SCALE, REFINED
from lit_resnet.evaluation.alone import judged_alone
from lit_resnet.evaluation.detection import PROTOCOLS, Judgement, kept, submission
from lit_resnet.evaluation.detection.search import found_in
from lit_resnet.evaluation.progress import progress
from lit_resnet.listing import Columns, Row, count
from lit_resnet.metrics import MAP, MAP50
from lit_resnet.nets.detector import Detector
from lit_resnet.probes.device import full_precision, gpu_or_cpu
from lit_resnet.run import models
from lit_resnet.run.last import Last
from lit_resnet.runfolder import examples, precision
from lit_resnet.runfolder.examples import LONGEST, MOST_BOXES, SCORE, Detection, Example, Truth
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.task import DETECTION
from lit_resnet.training.checkpoints import newest_checkpoint
from lit_resnet.training.detector import LitDetector

SCALES = (200, 400, 600, 800, 1000)  # shorter sides of the paper's multi-scale testing (Appendix B)
EXAMPLES, EXAMPLE_SIZES = 6, Sizes(240, 400)  # images that figures show, and how large
JPEG_QUALITY = 85

TITLE = "mAP on the test images (%)"
NOTE = """\
voc07: PASCAL VOC 2007's AP at 11 points; voc10: the area under the curve, as since 2010; both at an IoU of 0.5. coco:
COCO's, also over IoUs from 0.5 to 0.95. refined: boxes are pooled again and vote. multi-scale: features of several
sizes of the image (both Appendix B)."""
COLUMNS: Columns = {
    "net": lambda r: r["net"],
    "run": lambda r: r["run"],
    "protocol": lambda r: r["protocol"],
    MAP50.label: lambda r: MAP50.text(r[MAP50.name]),
    MAP.label: lambda r: MAP.text(r[MAP.name]),
    "images": lambda r: count(r["images"]),
}


@dataclass(frozen=True)
class Search:
    """How a detector looks for objects in an image.

    Args:
        refine: Whether boxes are refined.
        scales: Shorter sides of multi-scale testing; empty for the size of the training alone.
    """

    refine: bool = False
    scales: tuple[int, ...] = ()

    def __str__(self) -> str:
        sides = [] if self.scales in ((), SCALES) else ["-".join(map(str, self.scales))]
        return "+".join([*self.names, *sides]) or "single"

    @property
    def names(self) -> list[str]:
        """What it does beyond a plain test."""
        return [REFINED] * self.refine + [MULTI_SCALE] * bool(self.scales)

    def protocol(self, protocol: str) -> str:
        """A protocol's name with what is done beyond a plain test: `coco+refined`."""
        return "+".join([protocol, *self.names])


@dataclass(frozen=True, eq=False)
class Searched:
    """A detector, its test images, and what it finds in them.

    Args:
        folder: Where that is kept.
        net: The detector.
        data: Its data.
        checkpoint: SHA-256 of the file with its weights.
        unread: The run whose weights it still has to read before it looks for anything; None where it has them.
    """

    folder: RunFolder
    net: Detector
    data: BoxData
    checkpoint: str
    unread: RunFolder | None = None

    def origin(self, search: Search) -> dict[str, Any]:
        """What its detections depend on, as JSON gives it back."""
        return {
            "checkpoint": self.checkpoint,
            "images": self.data.test_digest(),
            "search": {"refine": search.refine, "scales": list(search.scales)},
            "sizes": asdict(self.data.sizes),
        }

    def kept(self, search: Search) -> list[Found] | None:
        """What it found when it was asked so before; None if it was not."""
        images, classes = len(self.data.test_set.images), self.data.num_classes
        return kept.read(self.folder.path, str(search), self.origin(search), images, classes)

    def find(self, search: Search, device: torch.device) -> list[Found]:
        """What it finds in each test image.

        Raises:
            InputError: The run has no whole checkpoint, a newer one by now, or that of another net or of other classes.
        """
        if self.unread:
            checkpoint, digest = models.load_newest(self.unread, self.net)
            if digest != self.checkpoint:
                raise InputError(f"{self.unread.path}: is training, and has a newer checkpoint now; ask again")
            state = checkpoint.get("data")
            self.data.restore(state if isinstance(state, dict) else {})
        net, images = self.net.to(device).eval(), self.data.test_set.images
        full_precision()
        found = []
        with progress(f"{self.net.config}: {search}", len(images), 0) as advance:
            for image in self.data.test_images(device, search.scales):
                found.append(found_in(net, image, images[image.number], search.refine))
                advance(1)
        return found

    def keep(self, search: Search, found: Sequence[Found]) -> None:
        """Write down what it found.

        Raises:
            OSError: The disk is full or away, or the folder cannot be written.
        """
        kept.keep(self.folder.path, str(search), self.origin(search), found)


# -- at the end of a run


def keep_last(last: Last) -> None:
    """Keep what the last model of a run finds in the test images, and of it what figures show."""
    assert isinstance(last.module, LitDetector)
    assert isinstance(last.net, Detector)
    assert isinstance(last.data, BoxData)
    one = Searched(last.folder, last.net, last.data, last.checkpoint)
    search, path, insist = Search(), last.folder.path, last.disk.insist
    known, step = last.module.found, last.module.global_step
    found = known[1] if known and known[0] == step else one.find(search, last.device)
    insist(str(path / kept.FOLDER), lambda: one.keep(search, found))
    truth = one.data.test_set
    insist(str(path / examples.NAME), lambda: examples.keep(path, list(_examples(truth, found))))
    if truth.truth:
        judged = PROTOCOLS[one.data.source.protocols[0]](truth, found)  # their curves are the same
        curves = {name: (curve / 100).tolist() for name, curve in judged.precision.items() if curve is not None}
        insist(str(path / "precision.csv"), lambda: precision.keep(path, curves))


def judge_last(last: Last, protocols: Sequence[str]) -> None:
    """Judge the last model of a run by the protocols that its config asks for, into its evaluation.json."""
    assert isinstance(last.net, Detector)
    assert isinstance(last.data, BoxData)
    one, search = Searched(last.folder, last.net, last.data, last.checkpoint), Search()
    found = one.kept(search) or one.find(search, last.device)
    entries = {protocol: _judged(one, protocol, search, found) for protocol in protocols}
    last.disk.insist(str(last.folder.evaluation_file), lambda: _keep(one, entries))


def _examples(truth: Annotations, found: Sequence[Found]) -> Iterable[Example]:
    """Some test images, spread over all of them, small, with as many of their boxes as the file takes."""
    chosen = np.linspace(0, len(truth.images) - 1, min(EXAMPLES, len(truth.images))).round().astype(int)
    for number in chosen.tolist():
        annotated, here = truth.images[number], found[number]
        image = read_photograph(annotated.file)
        image = resize(image, EXAMPLE_SIZES.of(*image.shape[1:]))
        height, width = image.shape[1:]
        content = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(content, "JPEG", quality=JPEG_QUALITY)
        scale = annotated.scale(height, width)
        true = islice(zip(annotated.labels, annotated.boxes * scale, annotated.ignored, strict=True), MOST_BOXES)
        shown = here.scores >= SCORE
        surest = islice(zip(here.labels[shown], here.boxes[shown] * scale, here.scores[shown], strict=True), MOST_BOXES)
        yield Example(
            annotated.name[-LONGEST:],  # where names are folders and a number, the end tells them apart
            content.getvalue(),
            height,
            width,
            tuple(Truth(truth.classes[label], tuple(box.tolist()), bool(ignored)) for label, box, ignored in true),
            tuple(Detection(truth.classes[label], tuple(box.tolist()), float(score)) for label, box, score in surest),
        )


# -- `lit-resnet evaluate`


def rows(args: argparse.Namespace) -> list[Row]:
    """A row for each run and protocol.

    Args:
        args: Those of `lit-resnet evaluate`.

    Raises:
        InputError: The arguments do not fit each other or the runs, or a file is missing or damaged.
    """
    for option in ("ensemble", "weights", "batch_size"):
        if getattr(args, option):
            raise InputError(f"--{option.replace('_', '-')}: it is not for detectors; leave it out")
    if args.submission and len(args.models) > 1:
        raise InputError("--submission: one folder is for one run; write one")
    if args.submission and args.protocol:
        raise InputError("--protocol, --submission: the server judges what is written for it; leave one of them out")
    search, found = Search(args.refine, _checked(tuple(args.scales or ()))), []
    for path in args.models:
        one = _of_run(RunFolder(path), args.data, args.workers)
        protocols = () if args.submission else args.protocol or one.data.source.protocols[:1]
        for protocol in protocols:
            one.data.check_protocol(protocol, "--protocol")
        with judged_alone(one.folder, one.folder.path / kept.FOLDER):
            here = _found(one, search)
            for protocol in protocols:
                judged = _judged(one, protocol, search, here)
                if search.scales in ((), SCALES):  # `multi-scale` stands for the paper's
                    try:
                        _keep(one, {search.protocol(protocol): judged})
                    except OSError as error:
                        raise InputError(f"{one.folder.path}: cannot be written ({error.strerror})") from None
                name = {"run": str(path), "net": str(one.net.config), "protocol": search.protocol(protocol)}
                found.append(name | {key: judged[key] for key in (MAP50.name, MAP.name, "images")})
        if args.submission:
            written = submission(one.data.test_set, here, args.submission, one.data.source.judged)
            print(f"{args.submission}: {len(written)} files for the server", file=sys.stderr)
    return found


def _checked(scales: tuple[int, ...]) -> tuple[int, ...]:
    possible = all(1 <= side <= MOST_PIXELS for side in scales)
    if len(scales) == 1 or list(scales) != sorted(set(scales)) or not possible:
        raise InputError(
            f"--scales: {' '.join(map(str, scales))}: write two shorter sides or more, in growing order and up to "
            f"{MOST_PIXELS}; the paper's are {' '.join(map(str, SCALES))}"
        )
    return scales


def _of_run(folder: RunFolder, root: Path | None, workers: int | None) -> Searched:
    """The detector of a run's newest checkpoint; of a run without one, that whose detections are kept.

    Raises:
        InputError: No run, neither a whole checkpoint nor detections, or images that are missing or damaged.
    """
    other = {key: value for key, value in (("root", root and str(root)), ("workers", workers)) if value is not None}
    data, net = models.untrained(folder, other)
    assert isinstance(data, BoxData)  # as the runs of this task have
    assert isinstance(net, Detector)
    boxes = cast(BoxData, data)  # not also the protocol, which promises less
    home = models.place(folder, boxes.test_digest(), bool(root))
    # What its end has kept is of its last model; another search may have been made before.
    known = kept.checkpoint(home.path, str(Search())) if newest_checkpoint(folder) is None else None
    return Searched(home, net, boxes, known or models.checkpoint_digest(folder), unread=folder)


def _found(one: Searched, search: Search) -> list[Found]:
    """What a detector finds: what is kept of it, or what it finds now, which then is kept.

    Raises:
        InputError: As `Searched.find`, or the folder cannot be written.
    """
    if (known := one.kept(search)) is not None:
        return known
    found = one.find(search, gpu_or_cpu())
    try:
        one.keep(search, found)
    except OSError as error:
        raise InputError(f"{one.folder.path}: cannot be written ({error.strerror})") from None
    return found


def _judged(one: Searched, protocol: str, search: Search, found: Sequence[Found]) -> dict[str, Any]:
    """What a detector finds, judged by a protocol: an entry of evaluation.json."""
    judged: Judgement = PROTOCOLS[protocol](one.data.test_set, found)
    return {
        MAP50.name: judged.map50,
        MAP.name: judged.map,
        "ap": dict(judged.ap),
        "images": len(one.data.test_set.images),
        "views": [str(search)],
        "data": one.data.name,
        "checkpoint": one.checkpoint,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _keep(one: Searched, entries: dict[str, dict[str, Any]]) -> None:
    """Keep entries in the evaluation.json of a run, beside what is there of the same checkpoint.

    Raises:
        InputError: evaluation.json is damaged.
        OSError: The disk is full or away, or the folder cannot be written.
    """
    one.folder.add_evaluations(entries, one.checkpoint, DETECTION)
