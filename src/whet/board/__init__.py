"""`whet board`: one page over all runs and studies of a folder, as a file or served live."""
