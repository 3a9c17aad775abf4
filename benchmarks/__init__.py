"""Benchmarks: each module measures one thing; its first lines say how it is run."""
