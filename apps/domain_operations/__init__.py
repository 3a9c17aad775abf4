"""Handler process: domains are activated and deactivated: a Route 53 zone, a row, and an entry of domains.json each."""
