"""One run's config: parsed, checked, and made into data, a module and a trainer."""

import copy
import difflib
import logging
import math
import re
import warnings
from dataclasses import is_dataclass
from enum import Enum
from functools import cache, cached_property, reduce
from importlib import import_module
from itertools import pairwise
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import torch
from jsonargparse import ArgumentError, Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.seed import max_seed_value
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import StrategyRegistry

from lit_resnet import task
from lit_resnet.errors import InputError, did_you_mean, shown
from lit_resnet.files import read_yaml
from lit_resnet.moved import moved
from lit_resnet.run import help, variables
from lit_resnet.run.environment import environment
from lit_resnet.task import Task

if TYPE_CHECKING:
    from lit_resnet.training.iterations import Iterations, TaskData

# Options of Lightning's Trainer that count in epochs or leave out images, with the defaults that a run must keep.
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
# What the parser, and YAML in it, raise about a value, or about a file that a value names.
UNREADABLE = (ArgumentError, TypeError, ValueError, OverflowError, RecursionError, LookupError, AttributeError, OSError)
MOST_STEPS, MOST_NODES = 10**9, 10**6  # beyond which a number is a slip
# Callbacks of Lightning's that a run cannot have, and what to write instead.
REFUSED = {
    "BatchSizeFinder": "it would change data.batch_size, on which the errors depend; write one",
    "GradientAccumulationScheduler": "an iteration takes a step; write a larger data.batch_size",
    "LearningRateFinder": "it would change model.rate.lr, on which the errors depend; write one",
    "StochasticWeightAveraging": "it counts epochs, and a run has iterations; write EMAWeightAveraging",
}
PRECISIONS = ("None", "32", "32-true", "bf16-mixed", "16-mixed")


class RunCLI(LightningCLI):
    """LightningCLI for one run. Reading a config and making its objects are two steps, so that a plan needs no objects.

    Args:
        args: Command-line arguments as a list, or a config as nested mappings.
        verb: `fit`, `validate` or `test`; the latter two also take `--ckpt_path`.

    Raises:
        InputError: An unknown key, or a value of the wrong type.
        SystemExit: The arguments asked for help, which was printed.
    """

    # The classes that the task names, and what `instantiate` makes.
    model_class: type["Iterations"]
    datamodule_class: type["TaskData"]
    model: "Iterations"
    datamodule: "TaskData"

    def __init__(self, args: list[str] | dict[str, Any], verb: str = "fit") -> None:
        self.verb = verb
        self.task = _task(args)  # its classes say which keys there are
        quiet()
        super().__init__(
            _imported(self.task.module),
            _imported(self.task.data),
            run=False,
            args=args,
            seed_everything_default=0,
            save_config_callback=None,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False, "prog": f"lit-resnet {verb}"},
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

    def setup_parser(
        self, add_subcommands: bool, main_kwargs: dict[str, Any], subparser_kwargs: dict[str, Any]
    ) -> None:
        """Take the parser of this task and verb, which a process makes once. LightningCLI calls it first."""
        key = self.task, self.verb, self.model_class, self.datamodule_class
        if key not in _parsers:
            super().setup_parser(add_subcommands, main_kwargs, subparser_kwargs)
            _parsers[key] = self.parser
        self.parser = _parsers[key]

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the keys of the trainer, the module and the data. The constructor of LightningCLI calls it."""
        parser.add_lightning_class_args(Trainer, "trainer")
        parser.set_defaults({f"trainer.{name}": value for name, value in self.trainer_defaults.items()})
        parser.add_lightning_class_args(self.model_class, "model")
        parser.add_class_arguments(
            self.datamodule_class, "data", skip={"stretch"}, fail_untyped=False, sub_configs=True
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add `task`; `evaluate` and `ckpt_path` where the task or the verb has them. LightningCLI calls it next."""
        for key, attribute in self.model_class.FROM_DATA.items():  # which are then no keys of the config; see `_values`
            parser.link_arguments(f"data.{attribute}", f"model.{key}", apply_on="instantiate")
        parser.add_argument(
            "--task",
            type=Literal[tuple(task.TASKS)],
            default=self.task.name,
            help="What the run is about.",
        )
        if self.task.protocols:
            parser.add_argument(
                "--evaluate",
                type=list[Literal[self.task.protocols]],
                default=[],
                help="Ways to judge the last model beside the error of a single view (Sec. 3.4): center (for its top-5 "
                "error), ten-crop, multi-scale.",
            )
        if self.verb != "fit":
            parser.add_argument("--ckpt_path", type=str, required=True, help="Checkpoint whose weights are evaluated.")

    def parse_arguments(self, parser: LightningArgumentParser, args: list[str] | dict[str, Any]) -> None:
        """Read the arguments into `config`; `given` has them as they came. LightningCLI calls it last.

        Raises:
            InputError: An unknown key, or a value of the wrong type.
        """
        if isinstance(args, list) and (section := help.asked(args)) is not None:
            _parsers.clear()  # the help's text changes its parser
            print(help.text(parser, self.verb, section))
            raise SystemExit(0)
        self.given = copy.deepcopy(args)  # the parser changes lists in place
        try:
            if isinstance(args, dict):
                _check_keys(args, self.keys)
                self.config = parser.parse_object(args)
            else:
                self.config = parser.parse_args(args)
            seed = self.config.seed_everything
            # Without one, a resumed run would see other batches.
            if type(seed) is not int or not 0 <= seed <= max_seed_value:
                raise InputError(f"seed_everything is {shown(seed)}: write a whole number from 0 to {max_seed_value}")
            parser.validate(self.config, False)  # null, too, must be of a key's type
        except UNREADABLE as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> InputError:
        """The error about a value that the parser does not take."""
        if isinstance(error, ArgumentError | TypeError):
            return InputError(_one_line(str(error), self.keys))
        return InputError(f"a value cannot be read ({_one_line(str(error), [])}): put it in quotes, or write another")

    @cached_property
    def keys(self) -> list[str]:
        """The config keys that have a value. The arguments of a `class_path` belong to the value of its key."""
        return [key for key in vars(self.parser.get_defaults().as_flat()) if key != "config"]  # that is a file's name

    def value(self, key: str, value: Any) -> Any:
        """The value of one key as the parser reads it, which the other keys do not change: quicker than a whole config.

        A `class_path` keeps the arguments that were given with it; defaults of further ones are not filled in.

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
        except UNREADABLE as error:
            raise self._refusal(error) from None

    def read(self, config: dict[str, Any]) -> None:
        """Take another config of the same task in place of the one read before.

        Raises:
            InputError: As at the start; or it is of another task.
        """
        if (other := task.of(config)) != self.task:
            raise InputError(f"task is {other.name} here and {self.task.name} elsewhere: write one for all runs")
        self.parse_arguments(self.parser, config)

    def check(self) -> tuple["TaskData", Any]:
        """Check all values, without reading images or building the net; returns the data and the net's config.

        Raises:
            InputError: A value out of range, a missing data folder, or a setting in the environment.
        """
        data, values = self._checked()
        return data, values["net"]

    def _checked(self) -> tuple["TaskData", dict[str, Any]]:
        """The data, not loaded, and the arguments of the module, all of them checked."""
        variables.check(self.keys, LEFT_OUT, of_grid=isinstance(self.given, dict))
        _check_trainer(self.config.trainer)
        self._check_interval()
        data = self.data()
        values = self._values(data)
        devices = math.prod(self.devices())
        if data.batch_size % devices:
            raise InputError(
                f"data.batch_size is {data.batch_size}: write a multiple of the devices, of which there are {devices}; "
                "it is the mini-batch of all"
            )
        data.check(self.config)
        self.model_class.check(self.config, values, data.batch_size // devices)
        return data, values

    @property
    def start(self) -> str | None:
        """Where the weights are that the run starts from; None for fresh weights, and in a task without them."""
        return self.config.model.get("start")

    def devices(self) -> tuple[int, int]:
        """Devices of each node, and nodes. `auto` is one: BN of the usual run sees its whole batch, here and launched.

        Raises:
            InputError: Neither a number nor `auto`.
        """
        trainer = self.config.trainer
        devices = 1 if trainer.devices == "auto" else trainer.devices
        if not re.fullmatch(r"[1-9]\d{0,5}", str(devices)) or not 1 <= trainer.num_nodes <= MOST_NODES:
            raise InputError(
                f"trainer.devices is {shown(devices)}, num_nodes {trainer.num_nodes}: write whole numbers from 1"
            )
        return int(devices), trainer.num_nodes

    def data(self) -> "TaskData":
        """The data, not loaded.

        Raises:
            InputError: A value out of range, or the folder is missing.
        """
        return _made(self.datamodule_class, self.config.data.as_dict() | {"stretch": self.stretch})

    @property
    def stretch(self) -> int:
        """Iterations of a training step: all those between two evaluations, and one where others count the steps."""
        return 1 if self._counted else self.config.trainer.val_check_interval

    @property
    def _counted(self) -> bool:
        """Whether others count the steps, and take one for an iteration: callbacks, loggers, profilers and plugins."""
        trainer = self.config.trainer
        return any(
            trainer[key] not in (None, False, True, []) for key in ("callbacks", "logger", "profiler", "plugins")
        )

    def _check_interval(self) -> None:
        """Refuse single steps whose last one no evaluation follows: Lightning evaluates after every so many alone.

        Raises:
            InputError: With what to write instead.
        """
        steps, every = self.config.trainer.max_steps, self.config.trainer.val_check_interval
        if self.verb == "fit" and self._counted and steps % every:
            raise InputError(
                f"trainer.val_check_interval is {every}: write a divisor of max_steps ({steps}), or leave out the "
                "callbacks, loggers, profiler and plugins; with these the last model would not be evaluated"
            )

    def net(self, data: "TaskData") -> Any:
        """The config of the net, with the values that come from the data: its classes and channels.

        Raises:
            InputError: The paper's rules give no such net.
        """
        return self._values(data)["net"]

    def module(self) -> "Iterations":
        """The module that this config describes, with fresh weights. Call `check` first: this checks no values."""
        return self.model_class(**self._values(self.data()))

    def _values(self, data: "TaskData") -> dict[str, Any]:
        """The arguments of the module."""
        values = self.config.model.as_dict()
        for key, attribute in self.model_class.FROM_DATA.items():
            *parents, leaf = key.split(".")
            reduce(getitem, parents, values)[leaf] = getattr(data, attribute)
        return _typed(self.model_class, values)

    def instantiate_classes(self) -> None:
        """Do nothing, though LightningCLI calls it: see `instantiate`."""

    def instantiate(self, **trainer: Any) -> None:
        """Make `datamodule`, `model` and `trainer`, the latter with these additions.

        Raises:
            InputError: A value out of range.
        """
        self.datamodule, values = self._checked()
        try:
            self.model = self.model_class(**values)
            self.trainer = self.instantiate_trainer(**trainer)
        except (ValueError, ArgumentError, MisconfigurationException) as error:
            raise InputError(_one_line(str(error), [])) from None

    def instantiate_trainer(self, **added: Any) -> Trainer:
        """Make the trainer. Added callbacks, loggers and plugins follow the config's own; other values replace them."""
        # Of the trainer alone: the data and the module are made already.
        values = dict(_trainer_parser().instantiate_classes(Namespace(trainer=self.config.trainer))["trainer"])
        for key in ("callbacks", "logger", "plugins"):
            own = values[key] if isinstance(values[key], list) else [values[key]]
            values[key] = [one for one in own if not isinstance(one, bool | None)] + added.pop(key, [])
        for logger in values["logger"]:
            if isinstance(logger, WandbLogger):
                _check_account(logger)
        values["devices"], nodes = self.devices()
        values["plugins"].append(environment(values["devices"] * nodes))
        if values["accelerator"] == "auto" and torch.backends.mps.is_available():
            values["accelerator"] = "cpu"  # Apple's GPUs have no 64-bit floats, with which responses are summed
        values["val_check_interval"] //= self.stretch  # in training steps
        values["enable_checkpointing"] = any(isinstance(callback, Checkpoint) for callback in values["callbacks"])
        return Trainer(**values | added)

    def config_text(self) -> str:
        """The complete config as YAML, without the folder of this run."""
        config = self.config.clone()
        config.pop("config", None)
        config.trainer.default_root_dir = None
        return self.parser.dump(_plain(config), skip_none=False)


# By what they are of: making one takes as long as reading a config.
_parsers: dict[tuple[Any, ...], LightningArgumentParser] = {}


@cache
def _trainer_parser() -> LightningArgumentParser:
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(Trainer, "trainer")
    return parser


def _check_account(logger: WandbLogger) -> None:
    """Refuse a logger of W&B where nobody is logged in: it would end the run after its folder was made.

    Raises:
        InputError: With what to do.
    """
    import wandb

    offline = getattr(logger, "_offline", False) or wandb.setup().settings.mode in ("offline", "disabled")
    if not offline and not wandb.login(prompt=False, verify=False):
        raise InputError("trainer.logger: W&B knows no account here: run wandb login, or set WANDB_MODE=offline")


def _plain(value: Any) -> Any:
    """A part of a config with the values of enums, which are defaults of some callbacks, in place of the enums."""
    if isinstance(value, Namespace):
        return Namespace({key: _plain(one) for key, one in vars(value).items()})
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, Enum) else value


def _made(make: type, values: dict[str, Any]) -> Any:
    """An object of that class.

    Raises:
        InputError: A value out of range.
    """
    try:
        return make(**_typed(make, values))
    except ValueError as error:
        raise InputError(str(error)) from None


def _typed(make: type, values: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments for a class: mappings become the dataclasses that it asks for."""
    kinds = get_type_hints(make.__init__)
    return {
        name: _made(kinds[name], value) if isinstance(value, dict) and is_dataclass(kinds[name]) else value
        for name, value in values.items()
    }


def _imported(name: str) -> Any:
    """What a task names as `package.module:Name`."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def _task(args: list[str] | dict[str, Any]) -> Task:
    """The task of a config, or the last one that the arguments and the config files among them name.

    Raises:
        InputError: There is no such task, or a file is not YAML.
    """
    if isinstance(args, dict):
        return task.of(args)
    said: dict[str, Any] = {}
    words = [word for arg in args for word in (arg.split("=", 1) if arg.startswith("--") else [arg])]
    for option, value in pairwise(words):
        if option == "--task":
            said["task"] = value
        elif option in ("--config", "-c") and Path(value).is_file():
            said |= {key: name for key, name in read_yaml(Path(value)).items() if key == "task"}
    return task.of(said)


def _check_trainer(trainer: Namespace) -> None:
    """Refuse trainer options with which a run's numbers would mean something else than its tables say.

    Raises:
        InputError: With what to write instead.
    """
    for key in ("max_steps", "val_check_interval", "log_every_n_steps"):
        if type(trainer[key]) is not int or not 1 <= trainer[key] <= MOST_STEPS:
            raise InputError(
                f"trainer.{key} is {shown(trainer[key])}: write iterations, a whole number from 1 to {MOST_STEPS:,}"
            )
    for key, default in LEFT_OUT.items():
        if trainer[key] != default:
            raise InputError(
                f"trainer.{key} is {shown(trainer[key])}: leave it out; a run's length is counted in iterations "
                "(trainer.max_steps), and its errors are those of all images"
            )
    callbacks = trainer.callbacks if isinstance(trainer.callbacks, list) else [trainer.callbacks]
    for callback in callbacks:
        name = str(callback.class_path if isinstance(callback, Namespace) else "").rpartition(".")[2]
        if name in REFUSED:
            raise InputError(f"trainer.callbacks: {name} is not for a run here: {REFUSED[name]}")
    if str(trainer.precision) not in PRECISIONS:
        raise InputError(f"trainer.precision is {shown(trainer.precision)}: write one of {', '.join(PRECISIONS[2:])}")
    if trainer.accelerator == "mps" or (trainer.accelerator == "gpu" and torch.backends.mps.is_available()):
        raise InputError(
            f"trainer.accelerator is {trainer.accelerator}: write auto or cpu; Apple's GPUs have no 64-bit floats, "
            "with which responses are summed"
        )
    # Whether this machine has it is for the one that trains to see.
    known = {
        "accelerator": ("auto", "gpu", *sorted({*AcceleratorRegistry.available_accelerators()} - {"mps"})),
        "strategy": ("auto", *StrategyRegistry.available_strategies()),
        "profiler": ("simple", "advanced", "pytorch", "xla"),
    }
    for key, names in known.items():
        if isinstance(trainer[key], str) and trainer[key] not in names:
            near = did_you_mean(trainer[key], names)
            raise InputError(f"trainer.{key} is {shown(trainer[key])}: write one of {', '.join(names)}{near}")


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
            raise InputError(f"{key} is {shown(value)}: it has keys of its own, such as {first}")
        _check_keys(value, known, f"{key}.")


def _unknown(key: str, known: list[str]) -> str:
    """Say where a key of an earlier version is now; else that it is unknown, with the nearest key by its last part."""
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
    """Silence Lightning's notes about accelerators, tips and seeds: our own lines say what matters."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
