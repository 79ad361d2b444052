"""Authentication, request limits and the middleware that enforces them."""
