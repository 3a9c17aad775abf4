"""SQS server process: a strict, fast stand-in for Amazon SQS on loopback, with an event log and a fault plan."""
