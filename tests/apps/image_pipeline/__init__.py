"""Test process: tests of image_pipeline."""
