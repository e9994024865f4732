"""jobctl: jobs that finish. Nothing is imported here: `import jobctl` must cost nothing."""

__version__ = "0.1.0"
