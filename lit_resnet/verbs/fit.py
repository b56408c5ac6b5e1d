"""`lit-resnet fit`, `validate` and `test`: train or evaluate one run. Their options are those of LightningCLI."""

import argparse

# What a shell completes of the options, and what follows each. LightningCLI has them all, but takes 15 s to load.
MAIN = {
    "--config": "RECIPE",
    "--model.net.depth": "N",
    "--model.net.shortcut": "A",
    "--model.rate.lr": "LR",
    "--data.source": "NAME",
    "--data.root": "DIR",
    "--trainer.max_steps": "N",
    "--trainer.accelerator": "NAME",
    "--trainer.devices": "N",
    "--trainer.precision": "NAME",
    "--trainer.default_root_dir": "DIR",
    "--seed_everything": "N",
}
FLAGS = ("--print_config", "--model.help", "--data.help", "--trainer.help")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options that a shell completes to a parser, which is not the one that `run` uses."""
    for option, metavar in MAIN.items():
        parser.add_argument(option, metavar=metavar)
    for option in FLAGS:
        parser.add_argument(option, action="store_true")
    if parser.prog.endswith(" fit"):
        parser.add_argument("--check", action="store_true")
    else:
        parser.add_argument("--ckpt_path", metavar="FILE")


def run(verb: str, words: list[str]) -> int:
    """Do one of the three; `words` are what follows it on the command line."""
    from lit_resnet.grid.grid import find, shipped
    from lit_resnet.listing import spinner

    # A recipe's name serves as well as its path.
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--config=") else [word])]
    for i, word in enumerate(words[:-1]):
        if word in ("--config", "-c"):
            words[i + 1] = str(find(words[i + 1], shipped() / "recipes", "config"))
    with spinner("loading torch and lightning"):
        from lit_resnet.run import run
    return run.fit(words) if verb == "fit" else run.evaluate(verb, words)
