"""What the suites share: the broker process, clients and raw wire access."""
