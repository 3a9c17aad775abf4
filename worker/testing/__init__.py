"""For tests, the users' and ours: the strict SQS server, and what helps to run handler functions."""
