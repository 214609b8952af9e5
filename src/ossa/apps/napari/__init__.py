"""The napari plugin: a reader and one widget, found by the manifest beside; what they do is pipeline.layers."""
