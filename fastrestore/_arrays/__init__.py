"""Arrays in and out: libraries, devices, checks of arguments, colors, progress."""
