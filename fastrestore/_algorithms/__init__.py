"""The public functions, one function or family a file."""
