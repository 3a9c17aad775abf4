"""Rivals: programs of our own on other libraries, and the environments that they run in."""
