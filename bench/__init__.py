"""The figures that jobctl is held to, each measured beside its reference. Not installed; `python -m bench` runs it."""
