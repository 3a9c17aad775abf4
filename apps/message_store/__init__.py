"""Handler process: each message of a FIFO queue becomes an item of a DynamoDB table, once, with metrics."""
