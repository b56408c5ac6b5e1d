"""`lit-resnet fit`, `validate` and `test`: train or evaluate one run. Their options are those of LightningCLI."""


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
