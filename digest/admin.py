"""Django looks here for what an app registers with the admin; it lives with the other operator's pages."""

from digest.operations import admin

__all__ = ["admin"]
