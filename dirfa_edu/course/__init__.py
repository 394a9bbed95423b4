"""The teaching machinery: widgets, explorers, checks of the exercises, grading, the user study, the
paper ledger."""
