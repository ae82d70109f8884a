"""What `scripts/bench cluster` is made of: planted data, methods, their processes, quality, report."""
