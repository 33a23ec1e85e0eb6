"""The rows, by area. Every module here is in the run."""
