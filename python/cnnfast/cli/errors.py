"""The error that the command line reports in one line."""


class CommandError(Exception):
    """Something the user can put right: reported without a traceback, exit code 1."""
