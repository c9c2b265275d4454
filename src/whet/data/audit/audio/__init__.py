"""The audit of audio clips: the record of each clip, and the checks specific to audio."""
