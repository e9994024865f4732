"""Crontabs as definitions files: the door of the room. One file a dialect; convert.py is where lines become jobs."""

from jobctl.crontab.convert import How, Source, commands_of, convert, convert_all
from jobctl.crontab.document import Imported, Line, to_append, to_toml
from jobctl.crontab.entry import Became, Dialect

__all__ = [
    "Became", "Dialect", "How", "Imported", "Line", "Source", "commands_of", "convert",
    "convert_all", "to_append", "to_toml",
]  # fmt: skip
