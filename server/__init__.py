"""The filter as a service over HTTP."""
