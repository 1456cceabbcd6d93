"""Reading and writing files; the command line uses `images`, `volumes` and `films` (videos)."""
