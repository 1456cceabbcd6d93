"""Files that are read and written part by part: Zarr, OME-Zarr, HDF5, NeXus, and large TIFF."""
