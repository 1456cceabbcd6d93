"""Files in and out: `images`, `volumes` and `films` are what the command line uses."""
