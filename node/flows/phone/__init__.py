"""The enterprise's phone: sign in, review a bank's request, sign it, take it back, see who looked.

asks → review → signing → returning is the way of a consent; account, withdrawal, timeline and proofs come after.
What is kept short-lived in Valkey lies under `phone:`; what matters lies in the journal's transaction.
"""
