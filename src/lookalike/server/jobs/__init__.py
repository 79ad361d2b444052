"""Long-running work: jobs that run in a process of their own."""
