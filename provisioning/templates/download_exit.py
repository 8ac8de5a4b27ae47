"""Exit statuses of a download that the controller mends, and goes on with."""

LOST = 75
"""The host that is copied from does not answer."""
INCOMPLETE = 66
"""Files are missing that the controller is to bring."""
