"""Poller process: all talk with SQS, and the ledger of what we hold. No user code.

A message goes receiver -> ready line -> dispatcher -> (handler) -> dispatcher -> settler; the heartbeater keeps leases.
"""
