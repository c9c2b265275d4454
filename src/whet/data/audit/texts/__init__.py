"""The audit of texts: the survey of the texts, and the checks specific to texts."""
