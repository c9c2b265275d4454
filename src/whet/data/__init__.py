"""Reads files and tables into rows, and rows into rendered batches. Input files are never changed, moved or replaced."""

from whet.data.folder import read_folder
from whet.data.read import read_data
from whet.data.split import split_rows
from whet.data.table import Skipped, Table, read_table

__all__ = ["Skipped", "Table", "read_data", "read_folder", "read_table", "split_rows"]
