"""Array libraries, validation of arguments, colors, registration, progress."""
