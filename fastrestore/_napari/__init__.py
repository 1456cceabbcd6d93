"""The plugin for napari: widgets, samples, and stacks in OME-TIFF.

`napari.yaml` lists what napari shows. The modules `axes`, `colors`, `estimates`, `lazy`, `part`,
`samples`, `script`, `settings` and `tiff` need neither napari nor Qt: they have what the widgets
decide and compute.
"""

KEY = "fastrestore"  # of what the plugin adds to the metadata of layers
