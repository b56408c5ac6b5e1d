"""The verbs of `lit-resnet`, a file each: `add` adds its options to a parser, `run` does it and returns the exit code.

A verb imports what it needs when it runs, so that help and status answer at once. Only verbs combine packages that do
not import each other: `launch`, say, is given the function that tells W&B of its runs.
"""
