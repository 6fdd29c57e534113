"""The HTTP server: an index, its images and its decisions as a page and an API."""
