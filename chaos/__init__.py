"""Live chaos: real processes, killed and starved while messages flow, and an oracle that reads what others wrote down.

    python -m chaos --seconds 60 --kills-per-second 3 --queue standard

A producer, the SQS server and the handler functions each keep a log of their own; the oracle reads these three and the
log of the faults, and never what the pool says about itself.
"""
