"""Handler process: runs the user's handler function on messages; holds no SQS client and no lease."""
