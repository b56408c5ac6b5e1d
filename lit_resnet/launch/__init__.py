"""Launching: the missing runs of a grid are planned, and trained on this machine or on a cluster."""
