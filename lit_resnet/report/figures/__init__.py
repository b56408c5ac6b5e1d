"""Figures of a report, in the manner of the paper's."""
