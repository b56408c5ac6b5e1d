"""Weights & Biases: a mirror of the run folders, written beside the training, from which the folders can be made again.

    grid, run folders ──► mirror ──► W&B ──► restore ──► run folders ──► report

A process of its own (`follow`) looks at the run folders of a grid and tells W&B what is new in them. So training does
not know of W&B, does not wait for it and cannot be hurt by it, and nothing is doubled or lost when a run is killed and
resumed: what W&B does not have yet is in the folder. Where W&B cannot be reached, its files lie in the run folder's
`wandb/`, and `lit-resnet wandb sync` mirrors the folders later.
"""
