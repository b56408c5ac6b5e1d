"""The paper's sentences, checked over runs."""
