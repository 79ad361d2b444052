"""Where a library keeps its images, vectors and decisions: one interface, several stores."""
