"""One run's config: parsed, checked, and made into a net, data and a trainer."""

import difflib
import logging
import re
import warnings
from typing import Any

from jsonargparse import ArgumentError
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lit_resnet.data.module import ImageData
from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.nets import NetConfig
from lit_resnet.training.module import LitResNet


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
        if self.verb != "fit":
            parser.add_argument("--ckpt_path", type=str, required=True, help="Checkpoint whose weights are evaluated.")

    def parse_arguments(self, parser: LightningArgumentParser, args: list[str] | dict[str, Any]) -> None:
        known = list(vars(parser.get_defaults().as_flat()))
        try:
            if isinstance(args, dict):
                _check_keys(args, known)
                self.config = parser.parse_object(args)
            else:
                self.config = parser.parse_args(args)
        except (ArgumentError, TypeError) as error:
            raise InputError(_one_line(str(error), known)) from None

    def read(self, config: dict[str, Any]) -> None:
        """Take another config in place of the one read before.

        Raises:
            InputError: As at the start.
        """
        self.parse_arguments(self.parser, config)

    def data(self) -> ImageData:
        """The data, not loaded.

        Raises:
            InputError: A value out of range, or the folder is missing.
        """
        return _made(ImageData, self.config.data)

    def net(self, data: ImageData) -> NetConfig:
        """The net, with the classes and channels of the data.

        Raises:
            InputError: The paper's rules give no such net.
        """
        return _made(NetConfig, self.config.model.net, num_classes=data.num_classes, in_channels=data.in_channels)

    def instantiate_classes(self) -> None:
        """Nothing yet: see `instantiate`."""

    def instantiate(self, **trainer: Any) -> None:
        """Make `data`, `model` and `trainer`, the latter with these additions.

        Raises:
            InputError: A value out of range.
        """
        self._trainer_additions = trainer
        try:
            super().instantiate_classes()
        except (ValueError, ArgumentError) as error:
            raise InputError(_one_line(str(error), [])) from None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self._get(self.config_init, "trainer")
        added = dict(self._trainer_additions)
        for key in ("callbacks", "logger"):
            own = config[key] if isinstance(config[key], list) else [config[key]] if config[key] else []
            added[key] = own + added.get(key, [])
        return super().instantiate_trainer(**added, **kwargs)

    def config_text(self) -> str:
        """The complete config as YAML, without the place where this run happens to be kept."""
        config = self.config.clone()
        config.pop("config", None)
        config.trainer.default_root_dir = None
        return self.parser.dump(config, skip_none=False)


def _made(kind: type, config: Any, **more: Any) -> Any:
    try:
        return kind(**config.as_dict(), **more)
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_keys(config: dict[str, Any], known: list[str], prefix: str = "") -> None:
    """Refuse keys that the parser does not have, with the nearest one that it has."""
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key in known:
            continue
        if not any(leaf.startswith(f"{key}.") for leaf in known):
            raise InputError(f"unknown key {key}{_nearest(key, known)}")
        if not isinstance(value, dict):
            first = next(leaf for leaf in known if leaf.startswith(f"{key}."))
            raise InputError(f"{key} is {value!r}: it has keys of its own, such as {first}")
        _check_keys(value, known, f"{key}.")


def _nearest(key: str, known: list[str]) -> str:
    """`; did you mean X?` with the nearest known key, by its whole name or else by its last part."""
    by_last_part = {name.split(".")[-1]: name for name in reversed(known)}
    near = difflib.get_close_matches(key.split(".")[-1], by_last_part, n=1)
    return did_you_mean(key, known) or (f"; did you mean {by_last_part[near[0]]}?" if near else "")


def _one_line(message: str, known: list[str]) -> str:
    """jsonargparse's message in one line, with the nearest key where it complains of an unknown one."""
    message = " ".join(message.replace('Parser key "', "").replace('":', ":").split())
    message = re.sub(r"Expected an? (?:<class '(\w+)'>|typing\.Literal\[(.*?)\])\. Got value: (.*)", _expected, message)
    group = re.search(r"Group '([\w.]+)' does not accept option '([\w.]+)'", message)
    option = re.search(r"(?:Option '|unrecognized arguments: --)([\w.]+)", message)
    key = f"{group[1]}.{group[2]}" if group else option[1] if option else None
    return f"unknown key {key}{_nearest(key, known)}" if key else message


def _expected(match: re.Match[str]) -> str:
    kinds = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    wanted = kinds.get(match[1], match[1]) if match[1] else "one of " + match[2].replace("'", "")
    return f"{match[3]} is not {wanted}"


def quiet() -> None:
    """Lightning's notes about accelerators, tips and seeds: the run folder and our own lines say what matters."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str:
    """The first key in which two configs differ, with both values."""
    for key in old | new:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            if before != after:
                return difference(before, after, f"{prefix}{key}.")
        elif before != after:
            return f"{prefix}{key} ({before}, not {after})"
    return "config"
