"""The contracts everything else hangs on. This package imports nothing else of whet."""
