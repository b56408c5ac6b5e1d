"""Training: the LightningModule, its callbacks, its checkpoints. Brings nets, data and probes together."""
