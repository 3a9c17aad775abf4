"""SQS server process: `python -m worker.testing.sqs_server`."""

from worker.testing.sqs_server.command import main

raise SystemExit(main())
