"""jobctl from Python: a face like the command line, over the same client."""
