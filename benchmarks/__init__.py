"""Benchmarks: each module measures one thing and returns plain data; `python -m benchmarks` runs a selection of them.

    python -m benchmarks throughput latency --json FILE --quick

CPU time per message stands first, since it says what the code costs wherever it runs; messages a second say what this
machine had left for it. `client`, `poller`, `several`, `preload` and `profile` are programs of their own, each of which
measures one part of the pool.
"""
