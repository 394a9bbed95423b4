"""The teaching machinery: widgets, explorers, checks, grading, the user study, the ledger."""
