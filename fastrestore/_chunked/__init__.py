"""Dask arrays and xarray objects: restoration in chunks, with the result of the whole image."""
