"""The rows, by what they are about; each module has a list `ROWS`."""
