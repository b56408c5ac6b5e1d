"""Weights & Biases: a mirror of the run folders, kept while runs train, from which the folders can be restored.

::

    grid, run folders ──► mirror ──► W&B ──► restore ──► run folders ──► report

A separate process (`follow`) looks at the run folders of a grid and tells W&B what is new in them. So training does
not know of W&B, does not wait for it and cannot fail because of it, and no row is doubled or lost when a run is killed
and resumed: what W&B does not have yet is in the folder. If W&B cannot be reached, its client writes files to the run
folder's `wandb/`, and `lit-resnet wandb sync` mirrors the folders later.
"""
