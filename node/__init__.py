"""The gate: the doors, the flows, the journal and the place where the parts are joined."""
