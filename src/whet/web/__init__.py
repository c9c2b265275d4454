"""The page for people: its HTML, style and scripts, for a server and for the browser alone."""
