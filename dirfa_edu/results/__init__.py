"""What was measured: trials, tables, figures and claims of the paper, and report cards of the
networks."""
