"""The benchmark's parts: one concept a file. `bench/run.py` is the way in."""
