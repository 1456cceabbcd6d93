"""Files in and out: images, volumes and films."""
