"""Flows: one act each, load → decide → append → release. They know the journal and the stores, and no HTTP."""
