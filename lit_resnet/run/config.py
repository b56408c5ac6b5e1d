"""One run's config: parsed, checked, and made into a net, data and a trainer."""

import copy
import difflib
import logging
import math
import re
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import Photographs
from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.evaluation import Protocol
from lit_resnet.moved import moved
from lit_resnet.nets import NetConfig
from lit_resnet.run.environment import environment
from lit_resnet.training.module import LitResNet, Speed
from lit_resnet.training.schedule import Rate
from lit_resnet.training.sgd import Sgd

# Lightning's ways to count in epochs, and to leave out images; with their defaults.
LEFT_OUT = {
    "limit_train_batches": None,
    "limit_val_batches": None,
    "limit_test_batches": None,
    "overfit_batches": 0.0,
    "fast_dev_run": False,
    "check_val_every_n_epoch": None,
    "max_epochs": None,
    "max_time": None,
    "accumulate_grad_batches": 1,
    "gradient_clip_val": None,
    "barebones": False,
}
PRECISIONS = ("None", "32", "32-true", "bf16-mixed", "16-mixed")


class RunCLI(LightningCLI):
    """LightningCLI for one run. Reading a config and making its objects are two steps, so that a plan needs no objects.

    Args:
        args: Command-line arguments as a list, or a config as nested mappings.
        verb: `fit`, `validate` or `test`; the latter two also take `--ckpt_path`.

    Raises:
        InputError: An unknown key, or a value of the wrong type.
    """

    def __init__(self, args: list[str] | dict[str, Any], verb: str = "fit") -> None:
        self.verb = verb
        quiet()
        super().__init__(
            LitResNet,
            ImageData,
            run=False,
            args=args,
            seed_everything_default=0,
            save_config_callback=None,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"exit_on_error": False, "prog": f"lit-resnet {verb}"},
            trainer_defaults={
                "max_steps": 64000,
                "val_check_interval": 1000,
                "check_val_every_n_epoch": None,  # the paper counts iterations
                "log_every_n_steps": 400,
                "num_sanity_val_steps": 0,
                "enable_checkpointing": False,  # the run folder has its own
                "enable_model_summary": False,
                "enable_progress_bar": False,  # counts epochs; ours counts iterations
            },
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name in ("num_classes", "in_channels"):
            parser.link_arguments(f"data.{name}", f"model.net.{name}", apply_on="instantiate")
        parser.add_argument(
            "--evaluate",
            type=list[Protocol],
            default=[],
            help="Ways to judge the last model beside the error of a single view (Sec. 3.4): center (for its top-5 "
            "error), ten-crop, multi-scale.",
        )
        if self.verb != "fit":
            parser.add_argument("--ckpt_path", type=str, required=True, help="Checkpoint whose weights are evaluated.")

    def parse_arguments(self, parser: LightningArgumentParser, args: list[str] | dict[str, Any]) -> None:
        self.given = copy.deepcopy(args)  # the parser changes lists in place
        try:
            if isinstance(args, dict):
                _check_keys(args, self.keys)
                self.config = parser.parse_object(args)
            else:
                self.config = parser.parse_args(args)
            seed = self.config.seed_everything
            if type(seed) is not int or seed < 0:  # without one, a resumed run would see other batches
                raise InputError(f"seed_everything is {seed}: write a whole number, 0 or more")
            parser.validate(self.config, False)  # null, too, must be of a key's type
        except (ArgumentError, TypeError) as error:
            raise InputError(_one_line(str(error), self.keys)) from None

    @cached_property
    def keys(self) -> list[str]:
        """The config keys that have a value; what an object of one's choice is made with is part of its key's value."""
        return list(vars(self.parser.get_defaults().as_flat()))

    def value(self, key: str, value: Any) -> Any:
        """One key's value as the parser reads it, which it does whatever the other keys say: quicker than a config.

        An object of one's choice is as it was given, without the defaults of what else it is made with.

        Raises:
            InputError: A value of the wrong type.
        """
        config = copy.deepcopy(value)
        for part in reversed(key.split(".")):
            config = {part: config}
        try:
            read = self.parser.parse_object(config, defaults=False)
            self.parser.validate(read, False)
            return read[key]
        except (ArgumentError, TypeError) as error:
            raise InputError(_one_line(str(error), self.keys)) from None

    def read(self, config: dict[str, Any]) -> None:
        """Take another config in place of the one read before.

        Raises:
            InputError: As at the start.
        """
        self.parse_arguments(self.parser, config)

    def check(self) -> tuple[ImageData, NetConfig]:
        """Check all values, without reading images or building the net; the data and the net that they mean.

        Raises:
            InputError: A value out of range, or a missing data folder.
        """
        data = self.data()
        net = self.net(data)
        model = self.config.model
        for make, values in ((Rate, model.rate), (Sgd, model.sgd), (Speed, model.speed)):
            _made(make, **values)
        if model.signals_every is not None and model.signals_every < 1:
            raise InputError(f"model.signals_every is {model.signals_every}: write iterations, a whole number from 1")
        if data.source != "imagenet" and set(self.config.evaluate) - {"center"}:
            raise InputError(f"evaluate is {self.config.evaluate}: crops and scales are for data.source imagenet")
        devices = math.prod(self.devices())
        if data.batch_size % devices:
            raise InputError(
                f"data.batch_size is {data.batch_size}: write a multiple of the devices, of which there are {devices}; "
                "it is the mini-batch of all"
            )
        images = data.batch_size // devices
        if model.bn_group is not None and (model.bn_group < 1 or images % model.bn_group):
            whose = "data.batch_size" if devices == 1 else "a device's part of data.batch_size"
            raise InputError(f"model.bn_group is {model.bn_group}: write a divisor of {whose} ({images}), or null")
        if model.signals_every is not None and (model.speed.compile or self.config.trainer.precision == "16-mixed"):
            raise InputError(
                "model.signals_every: a compiled net and 16-bit floats with their scaled gradients cannot be measured; "
                "leave out model.speed.compile, and trainer.precision 16-mixed"
            )
        for name in ("speed.recompute", "bn_group", "signals_every"):
            if net.family == "vgg" and model[name]:
                raise InputError(f"model.{name}: a vgg net has neither BN nor residual functions; leave it out")
        if model.speed.recompute and model.speed.compile:
            raise InputError("model.speed.recompute: a compiled net cannot recompute; leave out model.speed.compile")
        _check_trainer(self.config.trainer)
        return data, net

    def devices(self) -> tuple[int, int]:
        """Devices of each node, and nodes. `auto` counts as one: a launched run sees no others.

        Raises:
            InputError: Neither a number nor `auto`.
        """
        trainer = self.config.trainer
        devices = 1 if trainer.devices == "auto" else trainer.devices
        if not re.fullmatch(r"[1-9]\d*", str(devices)) or trainer.num_nodes < 1:
            raise InputError(f"trainer.devices is {devices}, num_nodes {trainer.num_nodes}: write whole numbers from 1")
        return int(devices), trainer.num_nodes

    def data(self) -> ImageData:
        """The data, not loaded.

        Raises:
            InputError: A value out of range, or the folder is missing.
        """
        config = self.config.data.as_dict()
        return _made(ImageData, **config | {"photographs": _made(Photographs, **config["photographs"])})

    def net(self, data: ImageData) -> NetConfig:
        """The net, with the classes and channels of the data.

        Raises:
            InputError: The paper's rules give no such net.
        """
        config = self.config.model.net.as_dict()
        return _made(NetConfig, **config, num_classes=data.num_classes, in_channels=data.in_channels)

    def instantiate_classes(self) -> None:
        """Nothing yet: see `instantiate`."""

    def instantiate(self, **trainer: Any) -> None:
        """Make `data`, `model` and `trainer`, the latter with these additions.

        Raises:
            InputError: A value out of range.
        """
        self.check()
        self._trainer_additions = trainer
        try:
            super().instantiate_classes()
        except (ValueError, ArgumentError, MisconfigurationException) as error:
            raise InputError(_one_line(str(error), [])) from None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self._get(self.config_init, "trainer")
        added = dict(self._trainer_additions)
        for key in ("callbacks", "logger", "plugins"):
            own = config[key] if isinstance(config[key], list) else [config[key]]
            added[key] = [one for one in own if not isinstance(one, bool | None)] + added.get(key, [])
        added["plugins"] = [*added["plugins"], environment(math.prod(self.devices()))]
        if config["accelerator"] == "auto" and torch.backends.mps.is_available():
            added["accelerator"] = "cpu"  # Apple's GPUs have no 64-bit floats, with which responses are summed
        # A training step is the block of iterations between two evaluations: evaluate after each.
        self.datamodule.block, added["val_check_interval"] = config["val_check_interval"], 1
        return super().instantiate_trainer(**added, **kwargs)

    def config_text(self) -> str:
        """The complete config as YAML, without the place where this run happens to be kept."""
        config = self.config.clone()
        config.pop("config", None)
        config.trainer.default_root_dir = None
        return self.parser.dump(config, skip_none=False)


def _made(make: Callable, **values: Any) -> Any:
    try:
        return make(**values)
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_trainer(trainer: Namespace) -> None:
    """Refuse what would make a run's numbers mean something else than its tables say.

    Raises:
        InputError: With what to write instead.
    """
    for key in ("max_steps", "val_check_interval", "log_every_n_steps"):
        if type(trainer[key]) is not int or trainer[key] < 1:
            raise InputError(f"trainer.{key} is {trainer[key]}: write iterations, a whole number from 1")
    for key, default in LEFT_OUT.items():
        if trainer[key] != default:
            raise InputError(
                f"trainer.{key} is {trainer[key]}: leave it out; a run's length is counted in iterations "
                "(trainer.max_steps), and its errors are those of all images"
            )
    if str(trainer.precision) not in PRECISIONS:
        raise InputError(f"trainer.precision is {trainer.precision}: write one of {', '.join(PRECISIONS[2:])}")


def _check_keys(config: dict[str, Any], known: list[str], prefix: str = "") -> None:
    """Refuse keys that the parser does not have, with the nearest one that it has."""
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key in known:
            continue
        if not any(leaf.startswith(f"{key}.") for leaf in known):
            raise InputError(_unknown(key, known))
        if not isinstance(value, dict):
            first = next(leaf for leaf in known if leaf.startswith(f"{key}."))
            raise InputError(f"{key} is {value!r}: it has keys of its own, such as {first}")
        _check_keys(value, known, f"{key}.")


def _unknown(key: str, known: list[str]) -> str:
    """Where a key of an earlier version stands now; or that it is unknown, with the nearest one by its last part."""
    if text := moved(key):
        return text
    by_last_part = {name.split(".")[-1]: name for name in reversed(known)}
    near = difflib.get_close_matches(key.split(".")[-1], by_last_part, n=1)
    return f"unknown key {key}" + (
        did_you_mean(key, known) or (f"; did you mean {by_last_part[near[0]]}?" if near else "")
    )


def _one_line(message: str, known: list[str]) -> str:
    """jsonargparse's message in one line, with the nearest key where it complains of an unknown one."""
    message = " ".join(message.replace('Parser key "', "").replace('":', ":").split())
    message = re.sub(r"Expected an? (?:<class '(\w+)'>|typing\.Literal\[(.*?)\])\. Got value: (.*)", _expected, message)
    group = re.search(r"Group '([\w.]+)' does not accept option '([\w.]+)'", message)
    option = re.search(r"(?:Option '|unrecognized arguments: --)([\w.]+)", message)
    key = f"{group[1]}.{group[2]}" if group else option[1] if option else None
    return _unknown(key, known) if key else message


def _expected(match: re.Match[str]) -> str:
    kinds = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    wanted = kinds.get(match[1], match[1]) if match[1] else "one of " + match[2].replace("'", "")
    return f"{match[3]} is not {wanted}"


def quiet() -> None:
    """Lightning's notes about accelerators, tips and seeds: the run folder and our own lines say what matters."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
