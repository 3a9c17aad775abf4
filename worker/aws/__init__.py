"""Poller process: the only code that imports boto3. Everything above it sees frozen requests and answers."""
