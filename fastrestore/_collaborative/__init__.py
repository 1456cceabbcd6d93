"""Common parts of the BM3D family, between public functions and backends."""
