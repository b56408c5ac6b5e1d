"""Runs mirrored to Weights & Biases, and what is made of them there."""
