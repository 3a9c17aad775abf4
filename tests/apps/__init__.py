"""Test process: tests of the applications."""
