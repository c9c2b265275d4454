"""The sections of a report. Each module reads a run folder and gives what its template of the same name shows, or None."""
