"""Template process: imports the application of one queue once, and forks its handlers. Linux only."""
