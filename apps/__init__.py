"""The applications: one folder each, with rules.py (pure), handlers.py, worker.toml and README.md."""
