"""What the BM3D family shares between a public call and a backend."""
