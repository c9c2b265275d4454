"""The contracts shared by all other packages. This package imports nothing else of whet."""
