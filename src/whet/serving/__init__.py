"""The HTTP server of a bundle: `whet serve`. It needs neither torch nor anything of whet but `core` and `bundle`."""
