"""What was measured: trials, tables, claims and figures of the paper, and cards of the networks."""
