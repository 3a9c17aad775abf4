"""Test process: tests of apps/message_store."""
