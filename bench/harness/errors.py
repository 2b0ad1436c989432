"""What may go wrong in a measurement."""


class BenchError(Exception):
    """A target or a client failed; the text says which and why. The rest of the run goes on."""


class Unsupported(Exception):
    """The target cannot do what the workload asks (not a failure): shown as `-`."""
