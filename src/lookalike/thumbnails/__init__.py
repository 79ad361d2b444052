"""Small pictures of the pictures, made once: for the web page, the map and reports."""
