"""Handler process: delivery statuses of SNS messages become events in one queue."""
