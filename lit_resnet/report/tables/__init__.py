"""Tables of a report, in the paper's shape."""
