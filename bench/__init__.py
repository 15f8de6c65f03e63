"""Repeatable benchmarks: each prints as its last line one JSON object with its figures, its bar and whether it is met."""
