"""Producer process: sends messages from any program: batches across calls, retries, and an answer for each."""
