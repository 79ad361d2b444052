"""Access checks, limits on requests and connections, and the middleware that applies them."""
