"""Search: plan a query, encode its images and text, retrieve candidates, re-rank them."""
