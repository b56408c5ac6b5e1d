"""The data that nets are trained on: small images as one tensor, or photographs that are read while a net trains.

Only `module` imports Lightning.
"""
