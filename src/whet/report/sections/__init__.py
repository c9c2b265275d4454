"""The sections of a report. Each module reads a run folder and returns the context of the template with the same name, or None."""
