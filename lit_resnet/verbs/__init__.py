"""The verbs of `lit-resnet`, a file each: `add` says its options, `run` does it and returns the exit code.

A verb imports what it needs when it runs, so that help and status answer at once. It is here that rooms meet which do
not know each other: a launch is given what tells W&B of its runs, and what writes the report.
"""
