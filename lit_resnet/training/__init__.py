"""How it is trained: the LightningModule, the run and its checkpoints. Brings nets, data and probes together."""
