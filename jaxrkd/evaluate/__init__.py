"""How robust a network is, and the results a run leaves."""
