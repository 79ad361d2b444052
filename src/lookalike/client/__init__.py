"""A client for a library that is served over HTTP, with the methods of `Library`."""
