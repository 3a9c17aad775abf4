"""Test process: tests of apps/domain_operations."""
